import type { IfName, InterfaceAddress, Ipv4, Mac, NetnsPath } from '../model/address.ts';
import type { BridgeResource, Resource, VethResource } from '../plan/resource.ts';
import type { KernelParts } from './applier.ts';
import { MARK } from './link.ts';
import { listNetns } from './netns.ts';
import { type Link, RouteSocket } from './rtnetlink.ts';
import { readSysctl } from './sysctl.ts';

/** The inner end of a veth pair. */
interface InnerLink {
  readonly netns: NetnsPath;
  readonly link: Link;
  readonly addresses: readonly InterfaceAddress[];
  readonly gateway: Ipv4 | undefined;
}

/**
 * Everything of ours in the kernel. What is there but not in working order (down, no port of a bridge, without its
 * inner end) is reported with empty names, so that it differs from anything wanted and is put right.
 */
export function observe(parts: KernelParts, netnsDirectory: string): readonly Resource[] {
  const netns = listNetns(netnsDirectory);
  return [
    ...netns.map((path) => ({ kind: 'netns', path }) as const),
    ...observeLinks(parts, netns),
    ...observeTable(parts),
    ...parts.ports.list(),
  ];
}

function observeTable(parts: KernelParts): readonly Resource[] {
  const table = parts.table.list();
  if (table === undefined) return [];
  return [{ kind: 'ruleset', text: parts.table.text(), version: table.version ?? '' }, ...table.elements];
}

function observeLinks(parts: KernelParts, netns: readonly NetnsPath[]): readonly Resource[] {
  const links = parts.routes.links();
  const ours = links.filter((link) => link.alias === MARK);
  if (ours.length === 0) return [];
  const names = new Map(links.map((link) => [link.index, link.name]));
  const inner = new Map<number, InnerLink>();
  for (const path of netns) {
    for (const found of observeInside(parts, path)) inner.set(found.link.peer, found);
  }
  const addresses = parts.routes.addresses();
  return ours.map((link) => {
    if (link.kind === 'bridge') {
      return bridgeOf(
        link,
        addresses.filter((address) => address.link === link.index),
      );
    }
    const other = inner.get(link.index);
    return vethOf(link, names, other?.link.index === link.peer ? other : undefined);
  });
}

function observeInside(parts: KernelParts, netns: NetnsPath): readonly InnerLink[] {
  return parts.namespaces.inside(netns, () => {
    const routes = new RouteSocket();
    try {
      const links = routes.links().filter((link) => link.kind === 'veth');
      const addresses = routes.addresses();
      const defaults = routes.routes().filter((route) => route.to === undefined);
      return links.map((link) => ({
        netns,
        link,
        addresses: addresses.filter((address) => address.link === link.index),
        gateway: defaults.find((route) => route.link === link.index)?.gateway,
      }));
    } finally {
      routes.close();
    }
  });
}

function bridgeOf(link: Link, addresses: readonly InterfaceAddress[]): BridgeResource {
  return {
    kind: 'bridge',
    ifName: link.name as IfName,
    mac: link.mac as Mac,
    mtu: link.mtu,
    addresses: link.up ? addresses.map(({ address, length }) => ({ address, length })) : [],
    routeLocalnet: readSysctl(`net/ipv4/conf/${link.name}/route_localnet`) === '1',
  };
}

function vethOf(link: Link, names: ReadonlyMap<number, string>, other: InnerLink | undefined): VethResource {
  const works = link.up && link.hairpin && other?.link.up === true;
  const [address] = other?.addresses ?? [];
  return {
    kind: 'veth',
    hostIfName: link.name as IfName,
    bridge: (works ? (names.get(link.master) ?? '') : '') as IfName,
    netns: other?.netns ?? ('' as NetnsPath),
    ifName: (other?.link.name ?? '') as IfName,
    mac: (other?.link.mac ?? '') as Mac,
    mtu: other?.link.mtu === link.mtu ? link.mtu : 0,
    address: {
      address: address?.address ?? ('' as Ipv4),
      length: address?.length ?? 0,
    },
    ...(other?.gateway === undefined ? {} : { gateway: other.gateway }),
    ...(link.isolated && { isolated: true }),
  };
}
