import { test } from 'node:test';
import { endpoint, network, port } from '../../src/explain/example.ts';
import type { Ipv4, NetnsPath } from '../../src/model/address.ts';
import type { Network, Sandbox } from '../../src/model/network.ts';
import { nftText } from '../../src/plan/nft-text.ts';
import { ALL_TABLES, type Model, type PlanFacts, plan } from '../../src/plan/plan.ts';
import { IPV4_RULESET, IPV6_RULESET } from '../../src/plan/ruleset.ts';
import { SPOOF_GUARD } from '../../src/plan/spoof-guard.ts';
import { matchesGolden, resourceLine } from './plan-text.ts';

const planned = (model: Model, facts: Partial<PlanFacts> = {}): string => {
  const all = { tables: ALL_TABLES, bridgeFirewall: true, directRouting: false, ...facts };
  return `${plan(model, all).map(resourceLine).join('\n')}\n`;
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
  matchesGolden(
    'ruleset.nft',
    [IPV4_RULESET, IPV6_RULESET, SPOOF_GUARD].map((each) => nftText(each, true)).join('\n'),
  ));

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
