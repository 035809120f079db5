import type { Ip } from '../model/address.ts';
import { endpoint, network, port } from './example.ts';
import { type ExampleLan, withLans } from './example-lan.ts';
import { type ExampleEndpoint, type ExampleOptions, exampleWorld, listener } from './example-world.ts';
import type { Hop } from './hop.ts';
import type { PacketProtocol } from './packet.ts';
import type { Outcome } from './trail.ts';
import { walk } from './walk.ts';
import { hopWords } from './words/hops.ts';
import type { Space, World } from './world.ts';

/** A small world for tests of the way, and the way in one line. */

const front = network({ name: 'front', subnet: '10.1.0.0', subnet6: 'fd01::/64', bridge: 'br-front' });
const apart = network({ name: 'apart', subnet: '10.2.0.0', bridge: 'br-apart', icc: false });
const vault = network({ name: 'vault', subnet: '10.3.0.0', bridge: 'br-vault', internal: true });
const serving = [listener('tcp', '::', 80), listener('udp', '0.0.0.0', 53), listener('tcp', '127.0.0.1', 81)];

export const web: ExampleEndpoint = {
  network: front,
  endpoint: endpoint(
    front,
    'web',
    '10.1.0.2',
    [port('0.0.0.0', 8080, 80), port('127.0.0.1', 7070, 80)],
    'fd01::2',
  ),
  listeners: serving,
};
export const client: ExampleEndpoint = {
  network: front,
  endpoint: endpoint(front, 'client', '10.1.0.3', [], 'fd01::3'),
};
const one: ExampleEndpoint = {
  network: apart,
  endpoint: endpoint(apart, 'one', '10.2.0.2', []),
  listeners: serving,
};
const two: ExampleEndpoint = { network: apart, endpoint: endpoint(apart, 'two', '10.2.0.3', []) };
const safe: ExampleEndpoint = {
  network: vault,
  endpoint: endpoint(vault, 'safe', '10.3.0.2', []),
  listeners: serving,
};
export const MEMBERS = [web, client, one, two, safe];

const OUTSIDE: Space = { ...exampleWorld([]).host, where: { kind: 'outside' } };

const spaceOf = (world: World, name: string): Space =>
  world.sandboxes.find(({ where }) => where.kind === 'container' && where.name === name) ?? world.host;

export interface WayOptions extends ExampleOptions {
  readonly members?: readonly ExampleEndpoint[];
  readonly lans?: readonly ExampleLan[];
}

/**
 * `answered`, `left`, or what stopped it, with `back` or `later`; before it the NAT on the way, after it `?` where a rule
 * could not be judged.
 */
export function way(from: string, to: string, options: WayOptions = {}): string {
  const world = withLans(exampleWorld(options.members ?? MEMBERS, options), options.lans ?? []);
  const [, address = '', portText = '0', protocol = 'tcp'] =
    /^\[?([^\]]*?)\]?:(\d+)(?:\/(.*))?$/.exec(to) ?? [];
  const asked = { address: address as Ip, port: Number(portText) || undefined };
  const asker =
    from === 'outside'
      ? ({ kind: 'outside', space: OUTSIDE, address: '198.51.100.2' as Ip, device: 'up0' } as const)
      : ({ kind: 'inside', space: spaceOf(world, from) } as const);
  const { outcome, hops } = walk(world, { from: asker, to: asked, protocol: protocol as PacketProtocol });
  const nat = hops.flatMap((hop) => (hop.kind === 'nat' ? [hopWords(hop).to] : []));
  const doubts = hops.some(({ kind }) => kind === 'undecided') ? ['?'] : [];
  return [...nat, endOf(outcome, hops), ...doubts].join(' ');
}

function endOf(outcome: Outcome, hops: readonly Hop[]): string {
  if (outcome.kind !== 'stopped') return outcome.kind;
  const { obstacle } = outcome;
  const leg = obstacle.back ? 'back ' : obstacle.later ? 'later ' : '';
  const last = hops.at(-1);
  return `${leg}${obstacle.kind === 'rule' && last !== undefined ? hopWords(last).rule : obstacle.kind}`;
}
