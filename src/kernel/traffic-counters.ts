import { formatPrefix } from '../model/address.ts';
import type { LinkCounters, TopologyUplink } from '../model/topology.ts';
import { TABLE_NAME } from '../plan/nft-text.ts';
import { KernelError } from './kernel.ts';
import { countedElements } from './nft-json.ts';
import type { Nftables } from './nftables.ts';
import type { RouteSocket } from './rtnetlink.ts';

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

/**
 * How often each published port was translated: NAT sees the first packet of a connection. Keys are
 * `tcp 0.0.0.0 8080`. Costs a listing of two maps a family.
 */
export function publishedConnections(nft: Nftables): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const family of ['ip', 'ip6'] as const) {
    const any = family === 'ip' ? '0.0.0.0' : '::';
    for (const set of ['pub_any', 'pub_addr'] as const) {
      for (const { key, packets } of list(nft, `list map ${family} ${TABLE_NAME} ${set}`)) {
        const parts = key.split(' . ');
        const [address, protocol, port] = set === 'pub_any' ? [any, ...parts] : parts;
        found.set(`${protocol} ${address} ${port}`, packets);
      }
    }
  }
  return found;
}

function list(nft: Nftables, command: string): readonly { readonly key: string; readonly packets: number }[] {
  try {
    return countedElements(nft.json(command));
  } catch (error) {
    // No table: `--iptables=false`, or somebody has just taken it away.
    if (error instanceof KernelError && error.errno === 'ENOENT') return [];
    throw error;
  }
}
