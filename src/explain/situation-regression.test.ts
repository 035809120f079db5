import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IfName, Ip, Ipv4, Prefix } from '../model/address.ts';
import { parsePrefix } from '../model/address.ts';
import type { MacvlanNetwork } from '../model/network.ts';
import type { Port } from '../model/port.ts';
import { answer } from './answer.ts';
import { endpoint } from './example.ts';
import { withLans } from './example-lan.ts';
import { MEMBERS, web } from './example-way.ts';
import { exampleWorld, listener } from './example-world.ts';
import type { ContainerFacts, Situation } from './situation.ts';

/** Where the differential test (test/e2e/why-random.test.ts) found the model to differ from the kernel, in who asks whom. */

const prefix = (text: string): Prefix<Ipv4> => parsePrefix(text) as Prefix<Ipv4>;

function lan(name: string, subnet: string, gateway: string, range: string): MacvlanNetwork {
  const { bridge: _bridge, driver: _driver, ipv6: _ipv6, ...base } = web.network;
  return {
    ...base,
    id: name,
    name,
    driver: 'macvlan',
    ipv4: {
      subnet: prefix(subnet),
      gateway: { address: gateway as Ipv4, length: 24 },
      onBridge: false,
      ipRange: prefix(range),
      auxAddresses: {},
      gatewayMode: 'nat',
      egress: { mode: 'none' },
    },
    macvlan: { parent: 'up0' as IfName, mode: 'bridge', ifPrefix: 'eth' },
  };
}

const near = lan('near', '198.51.100.0/24', '198.51.100.2', '198.51.100.128/28');
const apart = lan('apart', '10.70.0.0/24', '10.70.0.1', '10.70.0.128/28');

const there: ContainerFacts = {
  id: 'container-there',
  name: 'there',
  status: 'running',
  error: '',
  pid: 1,
  network: { kind: 'own' },
  endpoints: [{ ...endpoint(web.network, 'there', '10.70.0.128', []), networkId: 'apart' }],
  names: {},
  image: 'busybox',
  command: [],
  plain: true,
  networkOptions: [],
  wished: [],
};

function fromOutside(to: string): ReturnType<typeof answer> {
  const world = withLans(exampleWorld(MEMBERS), [
    { name: 'there', address: '10.70.0.128', mode: 'bridge', listeners: [listener('tcp', '::', 80)] },
  ]);
  const situation: Situation = {
    asked: {
      from: { kind: 'outside' },
      to: { kind: 'address', address: to as Ip },
      port: 80 as Port,
      protocol: 'tcp',
    },
    containers: [there],
    networks: [near, apart],
    lookup: undefined,
    uplink: {
      device: 'up0',
      addresses: ['198.51.100.1' as Ip],
      neighbours: ['198.51.100.2' as Ip],
    },
    remotes: new Map(),
    world,
    wanted: world.own,
  };
  return answer(situation);
}

test('regression: a neighbour of a container on a macvlan is of its subnet', () => {
  const { reachable, steps } = fromOutside('10.70.0.128');
  assert.equal(reachable, true);
  assert.equal(steps.find(({ kind }) => kind === 'send')?.from, '10.70.0.1');
});

test('regression: an address of the range that containers get is nobody else, and nobody has it', () => {
  const { reachable, cause } = fromOutside('198.51.100.140');
  assert.deepEqual([reachable, cause], [false, 'no-answer']);
  assert.equal(fromOutside('198.51.100.70').reachable, true, 'that of another machine is beyond this host');
});
