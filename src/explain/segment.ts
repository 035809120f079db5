import { familyOf, type Ip } from '../model/address.ts';
import type { LinkFacts } from '../model/kernel-facts.ts';
import type { MtuGap, Reason } from './hop.ts';
import { isLocal, linkOf } from './route.ts';
import type { Space, Tunnel, Where, World } from './world.ts';

export type Neighbour =
  | { readonly kind: 'here'; readonly port: LinkFacts; readonly space: Space; readonly link: LinkFacts }
  | { readonly kind: 'remote'; readonly port: LinkFacts; readonly remote: Tunnel['remotes'][number] }
  /** @property broken why one that has the address is not found */
  | { readonly kind: 'nobody'; readonly broken: Reason | undefined };

/** Who on a bridge has an address, as ARP and neighbour discovery would tell. */
export function neighbourOn(world: World, bridge: LinkFacts, address: Ip): Neighbour {
  const { host } = world;
  const ports = host.facts.links.filter(({ master }) => master === bridge.index);
  let broken: Reason | undefined;
  for (const space of world.sandboxes) {
    if (!hasAddress(space, address)) continue;
    for (const link of space.facts.links.filter(({ kind }) => kind === 'veth')) {
      const answers = familyOf(address) === 'ipv4' || isOn(space, link, address);
      const port = ports.find(({ index, peer }) => index === link.peer && peer === link.index);
      if (answers && port !== undefined) return { kind: 'here', port, space, link };
      if (isOn(space, link, address)) broken ??= whyNotThere(host, link);
    }
  }
  for (const { link, remotes } of world.tunnels) {
    const port = ports.find(({ index }) => index === link);
    const remote = remotes.find((each) => each.address === address);
    if (port !== undefined && remote !== undefined) return { kind: 'remote', port, remote };
  }
  return { kind: 'nobody', broken };
}

const hasAddress = ({ facts }: Space, address: Ip): boolean =>
  isLocal(facts, address) && facts.addresses.some((each) => each.address === address);

const isOn = ({ facts }: Space, link: LinkFacts, address: Ip): boolean =>
  facts.addresses.some((each) => each.address === address && each.link === link.index);

function whyNotThere(host: Space, link: LinkFacts): Reason | undefined {
  const port = linkOf(host.facts, link.peer);
  if (port === undefined) return { kind: 'link', link: link.name, what: 'missing' };
  if (port.master === 0) return { kind: 'link', link: port.name, what: 'no-port' };
  return undefined;
}

/** The first device on the way that takes less than the sender sends: nobody tells the sender (no router is between). */
export function segmentGap(
  from: { readonly where: Where },
  sender: LinkFacts,
  passed: readonly { readonly link: LinkFacts; readonly where: Where }[],
): MtuGap | undefined {
  const narrow = passed.find(({ link }) => link.mtu < sender.mtu);
  if (narrow === undefined) return undefined;
  return {
    sender: { name: sender.name, mtu: sender.mtu, where: from.where },
    narrow: { name: narrow.link.name, mtu: narrow.link.mtu, where: narrow.where },
  };
}
