import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ip } from '../model/address.ts';
import { endpoint, network } from './example.ts';
import { type ExampleOptions, exampleWorld, listener } from './example-world.ts';
import type { Hop } from './hop.ts';
import { walk } from './walk.ts';
import type { Way } from './way.ts';
import { hopWords } from './words/hops.ts';
import type { World } from './world.ts';

/** Where the differential test over two hosts (test/hosts/why-overlay-random.test.ts) found the model to differ from the kernel. */

const lamp = network({ name: 'lamp', subnet: '10.1.0.0', bridge: 'ov-lamp' });
const web = {
  network: lamp,
  endpoint: endpoint(lamp, 'web', '10.1.0.2', []),
  listeners: [listener('tcp', '::', 80)],
};
const FAR = '10.1.0.16' as Ip;
const AWAY = '198.51.100.9' as Ip;
const TUNNEL = 50;

/** With a tunnel that is a port of the bridge, and one container of another host behind it. */
function world(options: ExampleOptions = {}, alive = true): World {
  const made = exampleWorld([web], options);
  const bridge = made.host.facts.links.find(({ name }) => name === 'ov-lamp');
  assert.ok(bridge);
  const tunnel = { ...bridge, index: TUNNEL, name: 'vx-lamp', kind: 'vxlan', master: bridge.index };
  const facts = { ...made.host.facts, links: [...made.host.facts.links, tunnel] };
  const remotes = [{ address: FAR, host: AWAY, name: 'far', alive }];
  return { ...made, host: { ...made.host, facts }, tunnels: [{ link: TUNNEL, remotes }] };
}

function toFar(of: World): Way {
  const [space] = of.sandboxes;
  assert.ok(space);
  return walk(of, { from: { kind: 'inside', space }, to: { address: FAR, port: 80 }, protocol: 'tcp' });
}

function fromFar(of: World, port = 80): Way {
  const space = { ...of.host, where: { kind: 'outside' } as const };
  const from = { kind: 'elsewhere', space, address: FAR, device: 'vx-lamp', host: AWAY } as const;
  return walk(of, { from, to: { address: '10.1.0.2' as Ip, port }, protocol: 'tcp' });
}

const stopOf = ({ outcome }: Way): string =>
  outcome.kind === 'stopped' ? outcome.obstacle.kind : outcome.kind;
const kinds = (hops: readonly Hop[]): readonly string[] => hops.map(({ kind }) => kind);

for (const bridgeFirewall of [true, false]) {
  test(`to a container of another host, and from there (bridge firewall ${bridgeFirewall})`, () => {
    const there = toFar(world({ bridgeFirewall }));
    assert.equal(stopOf(there), 'left');
    assert.ok(kinds(there.hops).includes('tunnel'));
    assert.equal(stopOf(fromFar(world({ bridgeFirewall }))), 'answered');
    assert.equal(stopOf(fromFar(world({ bridgeFirewall }), 81)), 'nothing-listens');
  });
}

test('the tunnel is told in the direction it is passed', () => {
  const [, first] = fromFar(world()).hops;
  assert.ok(first);
  assert.equal(hopWords(first).detail, `out of vx-lamp, from the host ${AWAY}`);
});

test('a host that is away', () => {
  assert.equal(stopOf(toFar(world({}, false))), 'host-away');
});

test("the host's rules are asked about the packet around the packet, in either direction", () => {
  const dropping = (hook: string): World =>
    world({
      firewall: [
        `table inet fw { # handle 1\n chain c { # handle 1\n type filter hook ${hook} priority 0; policy accept;\n udp dport 4789 drop # handle 2\n}\n}`,
      ],
    });
  for (const hook of ['output', 'postrouting', 'prerouting', 'input']) {
    assert.equal(stopOf(toFar(dropping(hook))), 'rule', hook);
    assert.equal(stopOf(fromFar(dropping(hook))), 'rule', hook);
  }
  assert.equal(stopOf(toFar(dropping('forward'))), 'left', 'it is from the host itself');
});
