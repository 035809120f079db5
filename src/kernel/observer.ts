import type { IfName, InterfaceAddress, Ip, Ipv4, Ipv6, Mac, NetnsPath } from '../model/address.ts';
import type {
  BridgeResource,
  InnerInterface,
  MacvlanResource,
  Resource,
  VethResource,
  VxlanResource,
} from '../plan/resource.ts';
import type { KernelParts } from './applier.ts';
import { MARK } from './link.ts';
import type { Link } from './link-message.ts';
import { macvlanModeOf } from './macvlan.ts';
import { listNetns } from './netns.ts';
import { TABLES } from './nft-table.ts';
import { RouteSocket } from './rtnetlink.ts';
import { readSysctl } from './sysctl.ts';

/** An interface inside a sandbox. */
interface InnerLink {
  readonly netns: NetnsPath;
  readonly link: Link;
  readonly addresses: readonly InterfaceAddress[];
  readonly gateway: Ip | undefined;
  readonly gateway6: Ip | undefined;
  readonly ipv6: boolean;
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
  return TABLES.flatMap((family): readonly Resource[] => {
    const table = parts.table.list(family);
    if (table === undefined) return [];
    const ruleset = { text: parts.table.text(family), version: table.version ?? '' };
    return [{ kind: 'ruleset', table: family, ...ruleset }, ...table.elements];
  });
}

function observeLinks(parts: KernelParts, netns: readonly NetnsPath[]): readonly Resource[] {
  const links = parts.routes.links();
  // What is on its way out is none of ours any more.
  const ours = links.filter((link) => link.alias === MARK && !/^gone\d+$/.test(link.name));
  const names = new Map(links.map((link) => [link.index, link.name]));
  const inside = netns.flatMap((path) => observeInside(parts, path));
  const macvlans = inside
    .filter(({ link }) => link.kind === 'macvlan' && link.alias === MARK)
    .map((inner) => macvlanOf(inner, names));
  if (ours.length === 0) return macvlans;
  const ends = new Map(
    inside.filter(({ link }) => link.kind === 'veth').map((inner) => [inner.link.peer, inner]),
  );
  const addresses = parts.routes.addresses();
  const loopback = parts.routes.loopbackRoutes();
  const tunnels = new Map(
    ours.filter(({ kind }) => kind === 'vxlan').map(({ index, name }) => [index, name as IfName]),
  );
  return [
    ...macvlans,
    ...(tunnels.size > 0 ? observeTunnels(parts, tunnels) : []),
    ...ours.map((link) => {
      if (link.kind === 'vxlan') return vxlanOf(link, names);
      if (link.kind === 'bridge') {
        return bridgeOf(
          link,
          addresses.filter((address) => address.link === link.index),
          loopback.has(link.index),
        );
      }
      const other = ends.get(link.index);
      return vethOf(link, names, other?.link.index === link.peer ? other : undefined);
    }),
  ];
}

function observeInside(parts: KernelParts, netns: NetnsPath): readonly InnerLink[] {
  return parts.namespaces.inside(netns, () =>
    RouteSocket.use((routes) => {
      const links = routes.links().filter((link) => link.kind === 'veth' || link.kind === 'macvlan');
      const addresses = routes.addresses();
      const defaults = routes.routes().filter((route) => route.to === undefined);
      return links.map((link) => ({
        netns,
        link,
        addresses: addresses.filter((address) => address.link === link.index),
        ipv6: hasIpv6(link.name),
        gateway: defaults.find((route) => route.link === link.index && route.family === 'ipv4')?.gateway,
        gateway6: defaults.find((route) => route.link === link.index && route.family === 'ipv6')?.gateway,
      }));
    }),
  );
}

const hasIpv6 = (name: string): boolean => readSysctl(`net/ipv6/conf/${name}/disable_ipv6`) === '0';

function bridgeOf(
  link: Link,
  addresses: readonly InterfaceAddress[],
  loopbackRoute: boolean,
): BridgeResource {
  const ipv6 = hasIpv6(link.name);
  return {
    kind: 'bridge',
    ifName: link.name as IfName,
    mac: link.mac as Mac,
    mtu: link.mtu,
    addresses: link.up ? addresses.map(({ address, length }) => ({ address, length })) : [],
    ipv6,
    routeLocalnet: readSysctl(`net/ipv4/conf/${link.name}/route_localnet`) === '1' && loopbackRoute === ipv6,
  };
}

function vethOf(link: Link, names: ReadonlyMap<number, string>, other: InnerLink | undefined): VethResource {
  const works = link.up && link.hairpin && other?.link.up === true;
  return {
    kind: 'veth',
    hostIfName: link.name as IfName,
    bridge: (works ? (names.get(link.master) ?? '') : '') as IfName,
    mtu: other?.link.mtu === link.mtu ? link.mtu : 0,
    ...innerOf(other),
    ...(link.isolated && { isolated: true }),
  };
}

function observeTunnels(parts: KernelParts, tunnels: ReadonlyMap<number, IfName>): readonly Resource[] {
  return [
    ...parts.routes.forwardings().flatMap(({ link, mac, host }): readonly Resource[] => {
      const vxlan = tunnels.get(link);
      return vxlan === undefined ? [] : [{ kind: 'fdb', vxlan, mac: mac as Mac, host }];
    }),
    ...parts.routes.neighbours().flatMap(({ link, address, mac }): readonly Resource[] => {
      const vxlan = tunnels.get(link);
      return vxlan === undefined ? [] : [{ kind: 'neighbour', vxlan, address, mac: mac as Mac }];
    }),
  ];
}

function vxlanOf(link: Link, names: ReadonlyMap<number, string>): VxlanResource {
  return {
    kind: 'vxlan',
    ifName: link.name as IfName,
    bridge: (link.up ? (names.get(link.master) ?? '') : '') as IfName,
    vni: link.vxlan?.vni ?? 0,
    local: link.vxlan?.local ?? ('' as Ip),
    port: link.vxlan?.port ?? 0,
    mtu: link.mtu,
    ipv6: hasIpv6(link.name),
  };
}

function macvlanOf(inner: InnerLink, names: ReadonlyMap<number, string>): MacvlanResource {
  return {
    kind: 'macvlan',
    parent: (inner.link.up ? (names.get(inner.link.peer) ?? '') : '') as IfName,
    mode: (macvlanModeOf(inner.link.macvlanMode) ?? '') as MacvlanResource['mode'],
    mtu: inner.link.mtu,
    ...innerOf(inner),
  };
}

function innerOf(inner: InnerLink | undefined): InnerInterface {
  return {
    netns: inner?.netns ?? ('' as NetnsPath),
    ifName: (inner?.link.name ?? '') as IfName,
    mac: (inner?.link.mac ?? '') as Mac,
    addresses: (inner?.addresses ?? []).map(({ address, length }) => ({ address, length })),
    ipv6: inner?.ipv6 ?? false,
    ...(inner?.gateway === undefined ? {} : { gateway: inner.gateway as Ipv4 }),
    ...(inner?.gateway6 === undefined ? {} : { gateway6: inner.gateway6 as Ipv6 }),
  };
}
