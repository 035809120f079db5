import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Answer } from '../../src/explain/answer.ts';
import { Chance } from '../e2e/chance.ts';
import { Cluster } from '../e2e/cluster.ts';
import { CHECKOUT } from '../e2e/engine-under-test.ts';
import type { Machine } from '../e2e/machine.ts';
import { HOST, HOST_SECOND, HOST6, NAME_SERVER, OUTSIDE, OUTSIDE6 } from '../e2e/namespaces.ts';
import {
  type OverlayTopology,
  overlayTopology,
  type PlacedContainer,
  SERVICES,
} from '../e2e/overlay-topology.ts';
import { must, until } from '../e2e/process.ts';
import {
  AT_ONCE,
  agrees,
  askReal,
  type Question as Connection,
  PATIENCE,
  questionText,
} from '../e2e/real-connection.ts';
import { api } from '../e2e/running-topology.ts';
import type { Listener } from '../e2e/traffic.ts';

/**
 * The model's verdict beside what a real connection does, over overlay networks of two hosts. What leaves by the tunnel
 * is judged by both hosts: FROM's answers up to the tunnel, TO's from there to the program, asked with FROM's address.
 * WHY_SEED repeats a run.
 */
const SEED = Number(process.env.WHY_SEED ?? 6042);
const HOSTS = 2;
const CONTAINERS = 12;
const QUESTIONS = 600;

/** From a container, `host` or `outside` of one of the hosts. */
interface Question extends Connection {
  readonly host: number;
}

interface Running {
  readonly container: PlacedContainer;
  readonly pid: number;
  /** Of its networks, in their order. */
  readonly addresses: readonly string[];
  readonly overlayAddresses: readonly string[];
  /** On docker_gwbridge. */
  readonly gateway: readonly string[];
}

interface Inspected {
  readonly State: { readonly Pid: number };
  readonly NetworkSettings: {
    readonly Networks: Readonly<
      Record<
        string,
        { readonly IPAddress: string; readonly GlobalIPv6Address: string; readonly MacAddress: string }
      >
    >;
  };
}

const chance = new Chance(SEED);
const topology = overlayTopology(chance, HOSTS, CONTAINERS);
const running = new Map<string, Running>();
let cluster: Cluster;
console.log(`WHY_SEED=${SEED}`);

before(async () => {
  cluster = await Cluster.start(HOSTS);
  await Promise.all(cluster.hosts.map((machine) => machine.dockerOk('pull', '-q', 'busybox')));
  await build(topology);
});
after(() => cluster?.close());

test('the verdict of every question is what a real connection does', async () => {
  const questions = chooseQuestions();
  assert.ok(questions.length >= 400, `${questions.length} questions`);
  const verdicts = new Map<Question, Verdict>();
  const begin = performance.now();
  const queue = [...questions];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      verdicts.set(next, await askModel(next));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const modelled = performance.now();
  const real = await askReal(questions, pidOf);
  console.log(
    `model ${Math.round(modelled - begin)} ms, real ${Math.round(performance.now() - modelled)} ms`,
  );
  const differing = questions.filter((question) => !agrees(verdicts.get(question), real.get(question)));
  // A busy machine may have been late: what differs is asked again, alone.
  const again = await askReal(differing, pidOf, PATIENCE * 2);
  const wrong = differing.filter((question) => !agrees(verdicts.get(question), again.get(question)));
  tally(questions, verdicts);
  assert.equal(
    wrong.length,
    0,
    `${wrong.length} of ${questions.length} differ, WHY_SEED=${SEED}:\n${wrong
      .slice(0, 30)
      .map((question) => `${describe(question, verdicts.get(question))}\n    real: ${again.get(question)}`)
      .join('\n')}\n${describeTopology()}`,
  );
});

const farAddress = (): string => running.get('far')?.overlayAddresses[0] ?? '';

async function askFar(): Promise<string> {
  const target = { protocol: 'tcp', address: farAddress(), port: 80 } as const;
  const [answer = ''] = await machineOf(0).ask(running.get('near')?.pid ?? 0, [target]);
  return answer;
}

test('a container on a network that has nobody on this host', async () => {
  const byName = await why(machineOf(0), 'near', 'unknown:80');
  assert.equal(byName.cause, 'name-unknown', byName.sentence);
  const byAddress = await why(machineOf(0), 'near', `${running.get('unknown')?.overlayAddresses[0]}:80`);
  assert.equal(byAddress.cause, 'no-common-network', byAddress.sentence);
  const asking = await machineOf(0).api('GET', '/gangway/why?from=far&to=near:80&probe=0');
  assert.equal(asking.status, 404);
  assert.match(
    asking.body,
    /far is a container of the host 100\.64\.0\.2: ask there, or here by its address/,
  );
  console.log(byName.sentence, byAddress.sentence);
});

test('a rule of somebody else drops the packets of the tunnel: it is named, for either direction', async () => {
  assert.match(await askFar(), /^far /);
  for (const hook of ['output', 'input']) {
    const hooked = `{ type filter hook ${hook} priority 0; policy accept; }`;
    await must(
      machineOf(0).inMachine([
        'nft',
        `add table inet fw; add chain inet fw c ${hooked}; add rule inet fw c udp dport 4789 drop`,
      ]),
    );
    const answer = await why(machineOf(0), 'near', `${farAddress()}:80`);
    const real = await askFar();
    await must(machineOf(0).inMachine(['nft', 'delete', 'table', 'inet', 'fw']));
    console.log(answer.sentence);
    assert.equal(real, '-', hook);
    assert.equal(answer.reachable, false);
    assert.equal(answer.cause, 'foreign-rule', answer.sentence);
    assert.match(`${answer.sentence} ${answer.steps.at(-1)?.rule}`, /inet fw.* c\b/);
  }
});

test('the other host is cut off for longer than its lease', async () => {
  await cluster.link(1, 'down');
  const away = await until(
    'the other host to be away',
    async () => {
      const answer = await why(machineOf(0), 'near', `${farAddress()}:80`);
      return answer.cause === 'host-away' ? answer : undefined;
    },
    60,
  );
  assert.equal(await askFar(), '-');
  assert.match(away.sentence, /100\.64\.0\.2/);
  const byName = await why(machineOf(0), 'near', 'far:80');
  assert.equal(byName.cause, 'host-away', byName.sentence);
  console.log(away.sentence, byName.sentence);
  await cluster.link(1, 'up');
});

function tally(questions: readonly Question[], verdicts: ReadonlyMap<Question, Verdict>): void {
  const reached = questions.filter((question) => verdicts.get(question)?.reachable).length;
  const tunnelled = questions.filter((question) => verdicts.get(question)?.answers.length === 2);
  const ipv6 = tunnelled.filter(({ address }) => address.includes(':'));
  console.log(
    `${questions.length} questions, ${reached} reached, ${tunnelled.length} over the tunnel, ${ipv6.length} of them by IPv6`,
  );
}

/** What the hosts on the way say: one, or both where it goes by the tunnel. */
interface Verdict extends Pick<Answer, 'reachable' | 'steps'> {
  readonly answers: readonly Answer[];
}

const machineOf = (host: number): Machine => {
  const machine = cluster.hosts[host];
  if (machine === undefined) throw new RangeError(`no host ${host}`);
  return machine;
};

const why = (machine: Machine, from: string, to: string): Promise<Answer> =>
  api(machine, 'GET', `/gangway/why?${new URLSearchParams({ from, to, probe: '0' })}`);

async function build({ networks, containers }: OverlayTopology): Promise<void> {
  for (const { body, host } of networks) await api(machineOf(host), 'POST', '/networks/create', body);
  for (const { name, overlay } of networks) {
    if (!overlay) continue;
    for (const machine of cluster.hosts)
      await until('the network', async () =>
        (await machine.api('GET', `/networks/${name}`)).status === 200 ? true : undefined,
      );
  }
  await Promise.all(
    cluster.hosts.map(async (machine, host) => {
      for (const container of containers) if (container.host === host) await start(machine, container);
    }),
  );
  const macs = await readRunning();
  await Promise.all([...running.values()].map(serve));
  for (const { name, state, host } of containers) {
    if (state !== 'stopped') continue;
    await api(machineOf(host), 'POST', `/containers/${name}/kill`);
    await api(machineOf(host), 'POST', `/containers/${name}/wait`);
  }
  await untilKnown(macs);
  await Promise.all(cluster.hosts.map((_, host) => leadOutside(host)));
  const outside: readonly Listener[] = [
    { protocol: 'tcp', port: 7000 },
    { protocol: 'udp', port: 7053, address: '0.0.0.0' },
  ];
  const own: readonly Listener[] = [
    { protocol: 'tcp', port: 9000 },
    { protocol: 'tcp', port: 9001, address: '127.0.0.1' },
    { protocol: 'udp', port: 9053, address: '0.0.0.0' },
  ];
  for (const machine of cluster.hosts) {
    await machine.spawnHelper(
      machine.inOutside([process.execPath, `${CHECKOUT}test/e2e/name-server.ts`, NAME_SERVER]),
      'SERVING',
    );
    await machine.serve(machine.namespaces.outside, 'outside', outside);
    await machine.serve(machine.namespaces.machine, 'host', own);
  }
}

async function start(machine: Machine, { name, mode, networks, published }: PlacedContainer): Promise<void> {
  await api(machine, 'POST', `/containers/create?name=${name}`, {
    Image: 'busybox',
    Cmd: ['sleep', '1000'],
    ExposedPorts: Object.fromEntries(published.map(({ key }) => [key, {}])),
    HostConfig: {
      NetworkMode: mode === 'none' ? 'none' : networks[0],
      PortBindings: Object.fromEntries(published.map(({ key, ...binding }) => [key, [binding]])),
    },
    NetworkingConfig: { EndpointsConfig: Object.fromEntries(networks.map((network) => [network, {}])) },
  });
  await api(machine, 'POST', `/containers/${name}/start`);
}

/** @returns the hardware addresses on overlay networks, by container and network */
async function readRunning(): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
  const macs = new Map<string, Readonly<Record<string, string>>>();
  for (const container of topology.containers) {
    const machine = machineOf(container.host);
    const { State, NetworkSettings } = await api<Inspected>(
      machine,
      'GET',
      `/containers/${container.name}/json`,
    );
    const on = Object.entries(NetworkSettings.Networks);
    const addressesOf = ([, { IPAddress, GlobalIPv6Address }]: (typeof on)[number]): readonly string[] =>
      [IPAddress, GlobalIPv6Address].filter(Boolean);
    const addresses = on.flatMap(addressesOf);
    const shown = await must([
      ...['nsenter', '-t', String(State.Pid), '-n', 'ip', '-br', 'addr', 'show', 'scope', 'global'],
    ]);
    const all = [...shown.matchAll(/\s([\da-f.:]+)\/\d+/g)].map(([, address = '']) => address);
    running.set(container.name, {
      container,
      pid: State.Pid,
      addresses,
      overlayAddresses: on.filter(([name]) => isOverlay(name)).flatMap(addressesOf),
      gateway: all.filter((address) => !addresses.includes(address)),
    });
    macs.set(
      container.name,
      Object.fromEntries(
        on.flatMap(([name, { MacAddress }]) => (isOverlay(name) ? [[name, MacAddress]] : [])),
      ),
    );
  }
  return macs;
}

const isOverlay = (name: string): boolean =>
  topology.networks.some((network) => network.name === name && network.overlay);

/** Until every host has in its tunnels who runs elsewhere, and nobody else. */
async function untilKnown(macs: ReadonlyMap<string, Readonly<Record<string, string>>>): Promise<void> {
  const alive = topology.containers.filter(({ state }) => state === 'running');
  for (const [host, machine] of cluster.hosts.entries()) {
    const carried = new Set(alive.filter((each) => each.host === host).flatMap(({ networks }) => networks));
    const wanted = alive
      .filter((each) => each.host !== host)
      .flatMap(({ name }) => Object.entries(macs.get(name) ?? {}))
      .flatMap(([network, mac]) => (carried.has(network) ? [mac] : []));
    await until(
      `host ${host} to know the others`,
      async () => {
        const { stdout } = await machine.host(['sh', '-c', 'bridge fdb | grep dst | grep -v vx-health']);
        const known = new Set(stdout.match(/^[\da-f:]{17}/gm));
        known.delete('00:00:00:00:00:00');
        return wanted.every((mac) => known.has(mac)) && known.size === wanted.length ? true : undefined;
      },
      30,
    );
  }
}

/** The host outside knows a way to every container's address by its machine. */
async function leadOutside(host: number): Promise<void> {
  const routes = [...running.values()].flatMap(({ addresses, overlayAddresses, gateway, container }) =>
    [...(container.host === host ? [...addresses, ...gateway] : overlayAddresses)].map((address) =>
      address.includes(':')
        ? `ip -6 route replace ${address}/128 via ${HOST6}`
        : `ip route replace ${address}/32 via ${HOST}`,
    ),
  );
  await must(machineOf(host).inOutside(['sh', '-ec', routes.join('\n')]));
}

async function serve({ container, pid, addresses }: Running): Promise<void> {
  if (container.state === 'stopped') return;
  const listeners = container.listeners.flatMap(({ protocol, port, at }): Listener[] => {
    const address = at === 'own' ? addresses[0] : at;
    return address === undefined ? [] : [{ protocol, port, address }];
  });
  if (listeners.length > 0) await machineOf(container.host).serve(pid, container.name, listeners);
}

function chooseQuestions(): readonly Question[] {
  const questions = new Map<string, Question>();
  for (let tries = 0; questions.size < QUESTIONS && tries < QUESTIONS * 20; tries++) {
    const question = randomQuestion();
    if (question !== undefined) questions.set(JSON.stringify(question), question);
  }
  return [...questions.values()];
}

function randomQuestion(): Question | undefined {
  const all = [...running.values()];
  const asking = chance.pick(all.filter(({ container }) => container.state === 'running')).container;
  const { host } = asking;
  const asker = chance.pick([asking.name, asking.name, asking.name, asking.name, 'host', 'outside']);
  const inside = asker === asking.name;
  const met = all.filter((each) => each.container.host !== host && meet(each.container, asking));
  const listening = chance.pick(met.length > 0 && inside && chance.whether(0.4) ? met : all);
  const service =
    chance.whether(0.8) && listening.container.listeners.length > 0
      ? chance.pick(listening.container.listeners)
      : chance.pick(SERVICES);
  const { protocol, port } = service;
  const roll = chance.next();
  if (roll < 0.5) {
    const mine = listening.container.host === host;
    const addresses = [
      ...(mine ? listening.addresses : listening.overlayAddresses),
      ...(mine && chance.whether(0.3) ? listening.gateway : []),
    ];
    if (addresses.length === 0) return undefined;
    const address = chance.pick(addresses);
    return chance.whether(0.08)
      ? { host, asker, address, protocol: 'icmp', port: 0 }
      : { host, asker, address, protocol, port };
  }
  if (roll < 0.68)
    return inside ? { host, asker, address: listening.container.name, protocol, port } : undefined;
  if (roll < 0.74) {
    const own = running.get(asking.name)?.addresses ?? [];
    return inside ? { host, asker, address: chance.pick([...own, '127.0.0.1']), protocol, port } : undefined;
  }
  if (roll < 0.92) return publishedQuestion(host, asker);
  if (asker === 'outside') return undefined;
  return chance.whether(0.6)
    ? { host, asker, address: chance.pick([OUTSIDE, OUTSIDE, OUTSIDE6]), protocol: 'tcp', port: 7000 }
    : { host, asker, address: OUTSIDE, protocol: 'udp', port: 7053 };
}

/** On an overlay network of both. */
const meet = (one: PlacedContainer, other: PlacedContainer): boolean =>
  one.networks.some((name) => isOverlay(name) && other.networks.includes(name));

function publishedQuestion(host: number, asker: string): Question {
  const address = chance.pick([HOST, HOST, HOST_SECOND, HOST6, ...(asker === 'host' ? ['127.0.0.1'] : [])]);
  const published = topology.containers.flatMap((container) =>
    // One of the other host's, now and then: nobody has it here.
    container.host === host || chance.whether(0.1) ? container.published : [],
  );
  const own = [
    { port: 9000, protocol: 'tcp' },
    { port: 9001, protocol: 'tcp' },
    { port: 9053, protocol: 'udp' },
  ] as const;
  if (published.length === 0 || chance.whether(0.15)) return { host, asker, address, ...chance.pick(own) };
  const { key, HostPort } = chance.pick(published);
  const protocol = key.endsWith('udp') ? 'udp' : 'tcp';
  return { host, asker, address, protocol, port: Number(HostPort) };
}

/** `[fd00::2]:80` and `10.0.0.2:80` without the port; an address alone as it is. */
const withoutPort = (end: string): string => /^\[(.*)\]/.exec(end)?.[1] ?? end.replace(/^([^:]*):\d+$/, '$1');

async function askModel(question: Question): Promise<Verdict> {
  const first = await why(machineOf(question.host), question.asker, questionText(question));
  const sent = first.steps.findLast(({ kind }) => kind === 'send');
  const tunnel = first.steps.find(({ kind }) => kind === 'tunnel');
  if (!first.reachable || sent === undefined || tunnel === undefined)
    return { reachable: first.reachable, steps: first.steps, answers: [first] };
  const [source = '', to = ''] = [sent.from, sent.to].map((end) => withoutPort(end ?? ''));
  const other = await why(machineOf(1 - question.host), source, questionText({ ...question, address: to }));
  return { reachable: other.reachable, steps: other.steps, answers: [first, other] };
}

function pidOf({ asker, host }: Question): number {
  const { namespaces } = machineOf(host);
  if (asker === 'host') return namespaces.machine;
  return asker === 'outside' ? namespaces.outside : (running.get(asker)?.pid ?? 0);
}

function describe(question: Question, verdict: Verdict | undefined): string {
  const answers = verdict?.answers ?? [];
  return [
    `  host ${question.host}, ${question.asker} ${questionText(question)}:`,
    ...answers.map(({ reachable, cause, sentence, steps }) =>
      [
        `    model ${reachable} ${cause} ${sentence}`,
        ...steps.map(({ kind, detail }) => `      ${kind}: ${detail}`),
      ].join('\n'),
    ),
  ].join('\n');
}

function describeTopology(): string {
  return [
    ...topology.networks.map(({ body }) => JSON.stringify(body)),
    ...[...running.values()].map(
      ({ container, addresses, gateway }) =>
        `${JSON.stringify(container)} ${addresses.join(' ')} | ${gateway.join(' ')}`,
    ),
  ].join('\n');
}
