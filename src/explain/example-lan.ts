import type { InterfaceAddress, Ip } from '../model/address.ts';
import type { ListenerFacts } from '../model/kernel-facts.ts';
import type { MacvlanMode } from '../model/network.ts';
import { exampleSpace, link, UPLINK } from './example-world.ts';
import type { Space, World } from './world.ts';

/** A container's place on the uplink's network, in worlds for tests. */
export interface ExampleLan {
  readonly name: string;
  /** In 198.51.100.0/24. */
  readonly address: string;
  readonly mode: MacvlanMode;
  readonly listeners?: readonly ListenerFacts[];
  /** Tables of nft in the sandbox. */
  readonly firewall?: readonly string[];
}

/** One whose name a sandbox has already is on a bridge too, by which its default route leads. */
export function withLans(world: World, lans: readonly ExampleLan[]): World {
  const made = lans.map((lan, i) => onLan(world, lan, 500 + i));
  const names = new Set(lans.map(({ name }) => name));
  const others = world.sandboxes.filter(({ where }) => where.kind !== 'container' || !names.has(where.name));
  return { ...world, sandboxes: [...others, ...made] };
}

function onLan(
  { sandboxes }: World,
  { name, address, mode, listeners = [], firewall = [] }: ExampleLan,
  index: number,
): Space {
  const device = link(index, 'lan0', { kind: 'macvlan', peer: UPLINK, macvlan: mode });
  const at: InterfaceAddress & { readonly link: number } = {
    address: address as Ip,
    length: 24,
    link: index,
  };
  const bridged = sandboxes.find(({ where }) => where.kind === 'container' && where.name === name);
  const alone = bridged === undefined;
  const gateways = alone ? [{ gateway: '198.51.100.2' as Ip, link: index }] : [];
  const space = exampleSpace(
    { kind: 'container', id: `container-${name}`, name },
    { links: [device], addresses: [at], gateways, listeners, firewall },
  );
  if (alone) return space;
  const { facts } = bridged;
  return {
    ...bridged,
    facts: {
      ...facts,
      links: [...facts.links, device],
      addresses: [...facts.addresses, at],
      routes: [...facts.routes, ...space.facts.routes.filter((route) => route.link === index)],
    },
  };
}
