import { KernelError } from './kernel.ts';
import { type NetlinkMessage, parseAttributes, readText } from './netlink.ts';
import { parseCounters } from './nft-json.ts';
import type { Nftables } from './nftables.ts';

/** What the kernel counts of an interface, since it was made. Of the interface itself: a host's end receives what the container sends. */
export interface LinkCounters {
  readonly index: number;
  readonly receive: DirectionCounters;
  readonly transmit: DirectionCounters;
}
export interface DirectionCounters {
  readonly packets: number;
  readonly bytes: number;
  readonly errors: number;
  readonly dropped: number;
}

/** First packets of connections that came for a published port. */
export interface PortCounter {
  readonly table: 'ip' | 'ip6';
  readonly set: 'pub_any' | 'pub_addr';
  /** As nft writes it: `tcp . 8080`, `192.0.2.1 . tcp . 8080`. */
  readonly key: string;
  readonly packets: number;
}

const IFLA_IFNAME = 3;
/** struct rtnl_link_stats64 (linux/if_link.h): 64-bit numbers in this order. */
const IFLA_STATS64 = 23;
const ORDER = ['packets', 'bytes', 'errors', 'dropped'] as const;

/** One message of a listing of links that was asked for with statistics. */
export function parseLinkCounters(
  message: NetlinkMessage,
): readonly [name: string, LinkCounters] | undefined {
  const attributes = parseAttributes(message.payload, 16);
  const [name, stats] = [attributes.get(IFLA_IFNAME), attributes.get(IFLA_STATS64)];
  if (name === undefined || stats === undefined) return undefined;
  const number = (field: (typeof ORDER)[number], direction: 0 | 1): number =>
    Number(stats.readBigUInt64LE((ORDER.indexOf(field) * 2 + direction) * 8));
  const direction = (of: 0 | 1): DirectionCounters => ({
    packets: number('packets', of),
    bytes: number('bytes', of),
    errors: number('errors', of),
    dropped: number('dropped', of),
  });
  const index = message.payload.readInt32LE(4);
  return [readText(name), { index, receive: direction(0), transmit: direction(1) }];
}

/** Costs a listing of the maps of published ports. */
export function portCounters(nft: Nftables): readonly PortCounter[] {
  return (['ip', 'ip6'] as const).flatMap((table) =>
    (['pub_any', 'pub_addr'] as const).flatMap((set) => {
      try {
        return parseCounters(nft.json(`list map ${table} gangway ${set}`)).map((each) => ({
          table,
          set,
          ...each,
        }));
      } catch (error) {
        // Without a table of that family (--ip6tables=false).
        if (error instanceof KernelError && error.errno === 'ENOENT') return [];
        throw error;
      }
    }),
  );
}
