import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { endpoint, network, port } from '../../src/explain/example.ts';
import { formatPrefix, formatSocketAddress, type Ipv4, type NetnsPath } from '../../src/model/address.ts';
import type { Network, Sandbox } from '../../src/model/network.ts';
import { nftText } from '../../src/plan/nft-text.ts';
import { ALL_TABLES, type Model, type PlanFacts, plan } from '../../src/plan/plan.ts';
import type { Resource } from '../../src/plan/resource.ts';
import { IPV4_RULESET, IPV6_RULESET } from '../../src/plan/ruleset.ts';
import { SPOOF_GUARD } from '../../src/plan/spoof-guard.ts';

/** `UPDATE_GOLDENS=1` writes what is made now; look at the difference before it is committed. */
function matchesGolden(name: string, made: string): void {
  const file = new URL(name, import.meta.url);
  if (process.env.UPDATE_GOLDENS === '1') writeFileSync(file, made);
  assert.equal(made, readFileSync(file, 'utf8'));
}

function line(resource: Resource): string {
  switch (resource.kind) {
    case 'netns':
      return `netns ${resource.path}`;
    case 'bridge': {
      const { ifName, mac, mtu, addresses, routeLocalnet } = resource;
      const local = routeLocalnet ? ' route_localnet' : '';
      return `bridge ${ifName} ${mac} mtu ${mtu} ${addresses.map(formatPrefix).join(' ')}${local}`;
    }
    case 'veth': {
      const { hostIfName, bridge, netns, ifName, mac, addresses, gateway, gateway6 } = resource;
      const route = [gateway, gateway6]
        .map((via) => (via === undefined ? '' : ` default via ${via}`))
        .join('');
      const isolated = resource.isolated ? ' isolated' : '';
      return `veth ${hostIfName} in ${bridge}${isolated}; ${ifName} in ${netns} ${mac} ${addresses.map(formatPrefix).join(' ')}${route}`;
    }
    case 'vxlan':
      return `vxlan ${resource.ifName} in ${resource.bridge} vni ${resource.vni} local ${resource.local}:${resource.port} mtu ${resource.mtu}`;
    case 'fdb':
      return `fdb ${resource.vxlan} ${resource.mac} at ${resource.host}`;
    case 'neighbour':
      return `neighbour ${resource.vxlan} ${resource.address} has ${resource.mac}`;
    case 'macvlan': {
      const { ifName, netns, mac, addresses, parent, mode } = resource;
      return `macvlan ${ifName} in ${netns} on ${parent} (${mode}) ${mac} ${addresses.map(formatPrefix).join(' ')}`;
    }
    case 'ruleset':
      return `ruleset ${resource.table}`;
    case 'element':
      return `element ${resource.table} ${resource.set} { ${resource.key}${resource.value === undefined ? '' : ` : ${resource.value}`} }`;
    case 'host-port':
      return `host-port ${resource.protocol} ${formatSocketAddress(resource.address, resource.port)}`;
  }
}

const planned = (model: Model, facts: Partial<PlanFacts> = {}): string => {
  const all = { tables: ALL_TABLES, bridgeFirewall: true, directRouting: false, ...facts };
  return `${plan(model, all).map(line).join('\n')}\n`;
};

const sandbox = (name: string): Sandbox => ({
  id: `sandbox-of-${name}`,
  containerId: `container-${name}`,
  path: `/netns/${name}` as NetnsPath,
});

const FIXED: readonly Network[] = (['host', 'null'] as const).map((driver) => ({
  driver,
  id: driver,
  name: driver,
  created: '2026-01-01T00:00:00Z',
  labels: {},
  options: {},
}));

test('the rulesets', () =>
  matchesGolden('ruleset.nft', [IPV4_RULESET, IPV6_RULESET, SPOOF_GUARD].map(nftText).join('\n')));

test('published ports: on any address, on one, a range, a range that is shifted', () => {
  const bridge = network({ name: 'bridge', subnet: '172.17.0.0', bridge: 'docker0' });
  const web = endpoint(bridge, 'web', '172.17.0.2', [
    port('0.0.0.0', 8080, 80),
    port('127.0.0.1', 8081, 81),
    port('0.0.0.0', 7000, 7000, 3),
    port('0.0.0.0', 9000, 7000, 3),
    { ...port('0.0.0.0', 53, 53), protocol: 'udp' },
  ]);
  const model = {
    networks: [bridge, ...FIXED],
    sandboxes: [sandbox('web')],
    endpoints: [web],
  };
  matchesGolden('published-ports.txt', planned(model));
});

test('networks: without icc, internal, with an address of its own on the way out, without masquerade, of the user', () => {
  const networks = [
    network({ name: 'quiet', subnet: '172.18.0.0', bridge: 'br-quiet', icc: false }),
    network({ name: 'vault', subnet: '172.19.0.0', bridge: 'br-vault', internal: true }),
    network({
      name: 'chosen',
      subnet: '172.20.0.0',
      bridge: 'br-chosen',
      egress: { mode: 'snat', to: '192.0.2.7' as Ipv4 },
    }),
    network({ name: 'bare', subnet: '172.21.0.0', bridge: 'br-bare', egress: { mode: 'none' } }),
    network({ name: 'mine', subnet: '172.22.0.0', bridge: 'mine0', owned: false }),
  ];
  const [quiet] = networks;
  const endpoints = quiet === undefined ? [] : [endpoint(quiet, 'mute', '172.18.0.2', [])];
  matchesGolden(
    'networks.txt',
    planned({ networks, sandboxes: [sandbox('mute')], endpoints }, { bridgeFirewall: false }),
  );
});
