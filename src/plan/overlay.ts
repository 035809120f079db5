import { FAMILIES, familyOf, IPV6_LEAST_MTU, type Ip, isIpv4, parseMac } from '../model/address.ts';
import type { OverlayNetwork } from '../model/network.ts';
import type { RemoteEndpoint } from '../model/overlay.ts';
import type { Resource } from './resource.ts';
import type { TableFamily } from './rule.ts';

/** Of this host, for every overlay network. */
export interface OverlayFacts {
  /** Where its tunnels end. */
  readonly address: Ip;
  /** Of the uplink. */
  readonly uplinkMtu: number;
  /** Tables the engine may have. */
  readonly tables: ReadonlySet<TableFamily>;
}

/** A container of another host, and where that is. */
export interface PlacedRemote {
  readonly remote: RemoteEndpoint;
  readonly host: Ip;
}

/** IANA's for VXLAN (RFC 7348 §8). */
const VXLAN_PORT = 4789;
/** Outer Ethernet, IPv4, UDP and VXLAN headers; 20 more in IPv6 (RFC 7348 §4.3). */
const OVERHEAD = { ipv4: 50, ipv6: 70 } as const;

/**
 * What a container's interface on the network can carry. With IPv6 no less than RFC 8200 §5 asks of a link: where the
 * uplink leaves less, the tunnel's packets are cut in pieces between the hosts (`missingMtu`: where they can be).
 */
export function overlayMtu(network: OverlayNetwork, facts: OverlayFacts): number {
  const most = facts.uplinkMtu - OVERHEAD[familyOf(facts.address)];
  const mtu = Math.min(network.overlay.mtu ?? most, most);
  return network.ipv6 === undefined ? mtu : Math.max(mtu, IPV6_LEAST_MTU);
}

/**
 * The MTU that the uplink would have to have for the network's IPv6: between hosts that reach each other by IPv6 the kernel
 * cuts no tunnel's packets in pieces, as it does in IPv4. @returns undefined where it is enough
 */
export function missingMtu(network: OverlayNetwork, facts: OverlayFacts): number | undefined {
  const least = IPV6_LEAST_MTU + OVERHEAD.ipv6;
  const ok = network.ipv6 === undefined || isIpv4(facts.address) || facts.uplinkMtu >= least;
  return ok ? undefined : least;
}

/** Bridge and tunnel of an overlay network on a host that has a container on it. */
export function planOverlay(network: OverlayNetwork, facts: OverlayFacts): readonly Resource[] {
  const { bridge, vxlan, vni } = network.overlay;
  const mtu = overlayMtu(network, facts);
  // The same on every host: nobody sends to it.
  const mac = parseMac(`02:42:${(network.id.match(/../g) ?? []).slice(0, 4).join(':')}`);
  return [
    { kind: 'bridge', ifName: bridge, mac, mtu, addresses: [], ipv6: false, routeLocalnet: false },
    {
      kind: 'vxlan',
      ifName: vxlan,
      bridge,
      vni,
      local: facts.address,
      port: VXLAN_PORT,
      mtu,
      ipv6: network.ipv6 !== undefined,
    },
    ...(['ip', 'ip6'] as const)
      .filter((table) => facts.tables.has(table))
      .flatMap((table) => planBridging(table, JSON.stringify(bridge))),
  ];
}

/** From the bridge to the bridge: let through without being tracked. */
function planBridging(table: TableFamily, bridge: string): readonly Resource[] {
  return [
    { kind: 'element', table, set: 'overlays', key: bridge },
    { kind: 'element', table, set: 'icc', key: `${bridge} . ${bridge}` },
  ];
}

/** Where each container of another host is, and which MAC has its addresses, in the network's families. */
export function planRemotes(network: OverlayNetwork, remotes: readonly PlacedRemote[]): readonly Resource[] {
  const { vxlan } = network.overlay;
  return remotes.flatMap(({ remote, host }): Resource[] => [
    { kind: 'fdb', vxlan, mac: remote.mac, host },
    ...FAMILIES.flatMap((family): Resource[] => {
      const address = remote[family];
      if (address === undefined || network[family] === undefined) return [];
      return [{ kind: 'neighbour', vxlan, address, mac: remote.mac }];
    }),
  ]);
}
