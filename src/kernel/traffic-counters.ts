import { formatPrefix } from '../model/address.ts';
import type { LinkCounters, TopologyUplink } from '../model/topology.ts';
import { linkHeader, parseNamedStatistics } from './link-message.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { type RouteSocket, RTM } from './rtnetlink.ts';

const NETLINK_ROUTE = 0;

/** Counters of links by name. Indexes are never used again, so names are asked for only when a new one is seen. */
export class LinkStatistics {
  readonly #routes: RouteSocket;
  #names: ReadonlyMap<number, string> = new Map();

  constructor(routes: RouteSocket) {
    this.#routes = routes;
  }

  /** One dump. @throws KernelError */
  read(): ReadonlyMap<string, LinkCounters> {
    const counters = this.#routes.statistics();
    if (counters.size !== this.#names.size || [...counters.keys()].some((index) => !this.#names.has(index))) {
      this.#names = new Map(this.#routes.links().map(({ index, name }) => [index, name]));
    }
    const byName = new Map<string, LinkCounters>();
    for (const [index, count] of counters) {
      const name = this.#names.get(index);
      if (name !== undefined) byName.set(name, count);
    }
    return byName;
  }
}

/** Counters of the links of the namespace the thread is in now, by name. One dump: it has few. @throws KernelError */
export function innerCounters(): ReadonlyMap<string, LinkCounters> {
  const netlink = new NetlinkSocket(NETLINK_ROUTE);
  try {
    return new Map(netlink.dump(RTM.GETLINK, [linkHeader(0)], 'list links').map(parseNamedStatistics));
  } finally {
    netlink.close();
  }
}

/** The interfaces with default routes, that of IPv4 first. */
export function uplinks(routes: RouteSocket): readonly TopologyUplink[] {
  const defaults = routes.routes().filter(({ to }) => to === undefined);
  if (defaults.length === 0) return [];
  const addresses = routes.addresses();
  const links = routes.links();
  defaults.sort((a, b) => a.family.localeCompare(b.family));
  return [...new Set(defaults.map(({ link }) => link))].flatMap((index) => {
    const link = links.find((each) => each.index === index);
    if (link === undefined) return [];
    return [
      {
        ifName: link.name,
        mtu: link.mtu,
        addresses: addresses.filter((each) => each.link === index).map(formatPrefix),
        gateways: defaults.flatMap((route) =>
          route.link === index && route.gateway !== undefined ? [route.gateway] : [],
        ),
      },
    ];
  });
}
