import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { pino } from 'pino';
import { loadConfig } from '../../src/daemon/configuration.ts';
import { EventBus } from '../../src/engine/events.ts';
import { Networks } from '../../src/engine/network/networks.ts';
import { Store } from '../../src/engine/store.ts';
import { FakeKernel } from '../../src/kernel/fake-kernel.ts';
import type { GatewayMode } from '../../src/model/network.ts';
import { ALL_TABLES, type PlanFacts, plan } from '../../src/plan/plan.ts';
import { type Resource, resourceKey } from '../../src/plan/resource.ts';
import { IPV4_RULESET, IPV6_RULESET } from '../../src/plan/ruleset.ts';
import { SPOOF_GUARD } from '../../src/plan/spoof-guard.ts';
import { matchesGolden, resourceLine } from './plan-text.ts';

/**
 * Every combination of a bridge network's options, from the body of `POST /networks/create` to what is wanted in the
 * kernel, with one endpoint on it that publishes 8080:80 on every address and 8081:81 on loopback. A golden file for
 * each gateway mode; combinations with the same plan stand under one heading, and what does not matter is left out.
 */
const AXES = {
  family: ['v4', 'dual', 'v6'],
  reach: ['outward', 'internal'],
  egress: ['masquerade', 'snat', 'no-translation'],
  icc: ['icc', 'no-icc'],
  trusted: ['nobody-trusted', 'trusts-up0'],
  direct: ['guarded', 'direct-routing'],
  firewall: ['bridge-firewall', 'no-bridge-firewall'],
} as const;
type Axis = keyof typeof AXES;
type Combination = { readonly [A in Axis]: (typeof AXES)[A][number] };
const AXIS_NAMES = Object.keys(AXES) as Axis[];

const SUBNET = { ipv4: '172.18.0.0/16', ipv6: 'fd00:18::/64' };
const ADDRESS = { ipv4: '172.18.0.9', ipv6: 'fd00:18::9' };
const MAC = '02:42:00:00:00:09';
const DRIVER = 'com.docker.network.';

const hasFamily = ({ family }: Combination, table: 'ip' | 'ip6'): boolean =>
  family === 'dual' || family === (table === 'ip' ? 'v4' : 'v6');

function combinations(mode: GatewayMode): readonly Combination[] {
  const all = AXIS_NAMES.reduce<readonly Record<string, string>[]>(
    (made, axis) => made.flatMap((one) => AXES[axis].map((value) => ({ ...one, [axis]: value }))),
    [{}],
  ) as readonly unknown[] as readonly Combination[];
  return mode === 'isolated' ? all.filter(({ reach }) => reach === 'internal') : all;
}

function createBody(mode: GatewayMode, of: Combination): unknown {
  const families = (['ipv4', 'ipv6'] as const).filter((family) =>
    hasFamily(of, family === 'ipv4' ? 'ip' : 'ip6'),
  );
  return {
    Name: 'net',
    Internal: of.reach === 'internal',
    EnableIPv4: families.includes('ipv4'),
    EnableIPv6: families.includes('ipv6'),
    IPAM: { Config: families.map((family) => ({ Subnet: SUBNET[family] })) },
    Options: {
      [`${DRIVER}bridge.name`]: 'br-net',
      [`${DRIVER}bridge.gateway_mode_ipv4`]: mode,
      [`${DRIVER}bridge.gateway_mode_ipv6`]: mode,
      [`${DRIVER}bridge.enable_icc`]: String(of.icc === 'icc'),
      [`${DRIVER}bridge.enable_ip_masquerade`]: String(of.egress !== 'no-translation'),
      ...(of.egress === 'snat' && {
        [`${DRIVER}host_ipv4`]: '192.0.2.7',
        [`${DRIVER}host_ipv6`]: '2001:db8::7',
      }),
      ...(of.trusted === 'trusts-up0' && { [`${DRIVER}bridge.trusted_host_interfaces`]: 'up0' }),
    },
  };
}

interface Engine {
  readonly kernel: FakeKernel;
  readonly networks: Networks;
  readonly facts: PlanFacts;
  readonly store: Store;
}
const engines = new Map<string, Engine>();
const engineFor = ({ direct, firewall }: Combination): Engine | undefined =>
  engines.get(`${direct} ${firewall}`);

before(() => {
  for (const direct of AXES.direct) {
    for (const firewall of AXES.firewall) {
      const facts = {
        tables: ALL_TABLES,
        bridgeFirewall: firewall === 'bridge-firewall',
        directRouting: direct === 'direct-routing',
      };
      const kernel = new FakeKernel({ host: { bridgeFirewall: facts.bridgeFirewall } });
      const store = new Store(':memory:');
      const config = loadConfig({ 'allow-direct-routing': facts.directRouting });
      const log = pino({ level: 'silent' });
      const networks = new Networks({ config, log, store, events: new EventBus(), kernel });
      networks.reconcile(() => true);
      networks.openSandbox('web');
      engines.set(`${direct} ${firewall}`, { kernel, networks, facts, store });
    }
  }
});
after(() => {
  for (const { store } of engines.values()) store.close();
});

/** What the engine wants in the kernel for the network and its endpoint; what is random has a name instead. */
function planned(mode: GatewayMode, of: Combination): readonly Resource[] {
  const engine = engineFor(of);
  if (engine === undefined) throw new Error('no engine for it');
  const { networks, kernel, facts } = engine;
  const known = new Set(kernel.resources.keys());
  const network = networks.create(createBody(mode, of));
  if (network instanceof Promise) throw new Error('a bridge network is made at once');
  const endpoint = networks.attach({
    containerId: 'web',
    containerName: 'web',
    hostname: 'web',
    domainname: '',
    network,
    settings: {
      MacAddress: MAC,
      IPAMConfig: {
        ...(hasFamily(of, 'ip') && { IPv4Address: ADDRESS.ipv4 }),
        ...(hasFamily(of, 'ip6') && { IPv6Address: ADDRESS.ipv6 }),
      },
    },
    portBindings: {
      '80/tcp': [{ HostPort: '8080' }],
      '81/tcp': [
        ...(hasFamily(of, 'ip') ? [{ HostIp: '127.0.0.1', HostPort: '8081' }] : []),
        ...(hasFamily(of, 'ip6') ? [{ HostIp: '::1', HostPort: '8081' }] : []),
      ],
    },
    exposedPorts: ['80/tcp', '81/tcp'],
    publishAll: false,
  });
  const sandbox = networks.openSandbox('web');
  const resources = plan({ networks: [network], sandboxes: [sandbox], endpoints: [endpoint] }, facts).filter(
    ({ kind }) => kind !== 'ruleset' && kind !== 'netns',
  );
  const made = [...kernel.resources.keys()].filter((key) => !known.has(key));
  assert.deepEqual(made.sort(), resources.map(resourceKey).sort(), 'the kernel was given what is planned');
  networks.detach('web', network.id);
  networks.remove(network.id);
  assert.deepEqual([...kernel.resources.keys()].sort(), [...known].sort(), 'and nothing of it stays');
  const random = [
    [endpoint.hostIfName, 'veth-web'],
    [sandbox.path, '/netns/web'],
    ...(network.driver === 'bridge' ? [[network.bridge.mac, '02:42:00:00:00:01']] : []),
  ];
  const text = random.reduce(
    (all, [from = '', to = '']) => all.replaceAll(from, to),
    JSON.stringify(resources),
  );
  return JSON.parse(text) as readonly Resource[];
}

const SET_KINDS: ReadonlyMap<string, string> = new Map<string, string>(
  [IPV4_RULESET, IPV6_RULESET, SPOOF_GUARD].flatMap(({ family, sets }) =>
    sets.map(({ name, data }) => [`${family} ${name}`, data === undefined ? 'set' : 'map'] as const),
  ),
);

/** What must hold whatever else is chosen. */
function checkInvariants(mode: GatewayMode, of: Combination, resources: readonly Resource[]): void {
  const keys = resources.map(resourceKey);
  assert.deepEqual(keys, [...new Set(keys)], 'everything once');
  const elements = resources.filter((resource) => resource.kind === 'element');
  for (const { table, set, value } of elements) {
    assert.equal(SET_KINDS.get(`${table} ${set}`), value === undefined ? 'set' : 'map', `${table} ${set}`);
  }
  const internal = of.reach === 'internal';
  const translates = !internal && (mode === 'nat' || mode === 'nat-unprotected');
  const veth = resources.find((resource) => resource.kind === 'veth');
  assert.equal(
    veth?.kind === 'veth' && veth.isolated === true,
    of.icc === 'no-icc' && of.firewall !== 'bridge-firewall',
  );
  for (const [table, any, loopback] of [
    ['ip', '0.0.0.0', '127.0.0.1'],
    ['ip6', '::', '::1'],
  ] as const) {
    const present = hasFamily(of, table);
    const own = table === 'ip' ? ADDRESS.ipv4 : ADDRESS.ipv6;
    const subnet = table === 'ip' ? SUBNET.ipv4 : SUBNET.ipv6;
    const keysIn = (set: string): readonly string[] =>
      elements.filter((one) => one.table === table && one.set === set).map(({ key }) => key);
    const only = (when: boolean, ...wanted: string[]): readonly string[] => (present && when ? wanted : []);
    if (!present)
      assert.deepEqual(
        elements.filter((one) => one.table === table),
        [],
        `nothing in ${table}`,
      );
    assert.deepEqual(keysIn('bridges'), only(true, '"br-net"'));
    assert.deepEqual(keysIn('home'), only(true, `${subnet} . "br-net"`));
    assert.deepEqual(keysIn('icc'), only(of.icc === 'icc', '"br-net" . "br-net"'));
    assert.deepEqual(keysIn('internal'), only(internal, '"br-net"'));
    assert.deepEqual(keysIn('egress_any'), only(translates && of.egress === 'masquerade', subnet));
    assert.deepEqual(keysIn('egress_to'), only(translates && of.egress === 'snat', subnet));
    assert.deepEqual(keysIn('pub_any'), only(translates, 'tcp . 8080'));
    assert.deepEqual(keysIn('pub_addr'), only(translates, `${loopback} . tcp . 8081`));
    assert.deepEqual(keysIn('routed'), only(mode === 'routed', '"br-net"'));
    assert.deepEqual(keysIn('unprotected'), only(mode === 'nat-unprotected', '"br-net"'));
    assert.deepEqual(
      keysIn('endpoints'),
      only((mode === 'nat' || mode === 'isolated') && of.direct === 'guarded', own),
      'not reached by its own address from elsewhere',
    );
    const byOwnAddress = of.direct === 'direct-routing' || of.trusted === 'trusts-up0';
    const open = [
      ...only(mode === 'routed' && !internal, `${own} . tcp . 80`),
      ...only(mode === 'nat' && !internal && byOwnAddress, `${own} . tcp . 80`, `${own} . tcp . 81`),
    ];
    assert.deepEqual(keysIn('open'), open);
    const held = resources.flatMap((one) => (one.kind === 'host-port' ? [`${one.address} ${one.port}`] : []));
    assert.equal(held.includes(`${any} 8080`), present && translates);
    assert.equal(held.includes(`${loopback} 8081`), present && translates);
    const route = veth?.kind === 'veth' ? (table === 'ip' ? veth.gateway : veth.gateway6) : undefined;
    assert.equal(route !== undefined, present && !internal, 'a default route leads out');
  }
  for (const resource of resources) {
    if (resource.kind !== 'bridge') continue;
    const families = resource.addresses.map(({ address }) => (address.includes(':') ? 'ip6' : 'ip'));
    const wanted = (['ip', 'ip6'] as const).filter((table) => mode !== 'isolated' && hasFamily(of, table));
    assert.deepEqual(families, wanted, 'the host is on it, unless it is isolated');
    assert.equal(resource.ipv6, hasFamily(of, 'ip6'));
  }
}

/** Values of each axis; stands for every combination of them. */
type Box = Readonly<Record<Axis, readonly string[]>>;

/** Boxes that hold just these combinations, few of them. */
function boxesOf(members: readonly Combination[]): readonly Box[] {
  const single = (of: Combination): Box =>
    Object.fromEntries(AXIS_NAMES.map((axis) => [axis, [of[axis]]])) as unknown as Box;
  return AXIS_NAMES.toReversed().reduce<readonly Box[]>((boxes, axis) => {
    const merged = new Map<string, Box>();
    for (const box of boxes) {
      const rest = JSON.stringify({ ...box, [axis]: [] });
      const known = merged.get(rest);
      merged.set(rest, known === undefined ? box : { ...known, [axis]: [...known[axis], ...box[axis]] });
    }
    return [...merged.values()];
  }, members.map(single));
}

function heading(box: Box): string {
  const words = AXIS_NAMES.filter((axis) => box[axis].length < AXES[axis].length);
  return `# ${words.map((axis) => box[axis].join('|')).join(', ')}`;
}

describe('every combination of options', () => {
  for (const mode of ['nat', 'nat-unprotected', 'routed', 'isolated'] as const) {
    test(`gateway mode ${mode}`, () => {
      const groups = new Map<string, Combination[]>();
      for (const combination of combinations(mode)) {
        const resources = planned(mode, combination);
        try {
          checkInvariants(mode, combination, resources);
        } catch (error) {
          throw new Error(`${mode}: ${Object.values(combination).join(', ')}`, { cause: error });
        }
        const text = resources.map(resourceLine).join('\n');
        groups.set(text, [...(groups.get(text) ?? []), combination]);
      }
      const sections = [...groups].map(
        ([text, members]) => `${boxesOf(members).map(heading).join('\n')}\n${text}\n`,
      );
      matchesGolden(`combinations-${mode}.txt`, sections.join('\n'));
    });
  }
});
