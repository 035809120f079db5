import { type Ip, ipBytes } from '../model/address.ts';
import { readIn } from './netlink.ts';
import { NETLINK_NETFILTER } from './netlink-listener.ts';
import { NetlinkSocket } from './netlink-socket.ts';

/** linux/netfilter/nfnetlink_conntrack.h. */
const CT_GET = (1 << 8) | 1;
const CTA = { TUPLE_ORIG: 1, TUPLE_REPLY: 2, PROTOINFO: 4 } as const;
const TUPLE_IP = 1;
const IP_V4_SRC = 1;
const IP_V6_SRC = 3;
const PROTOINFO_TCP = 1;
const TCP_STATE = 1;
/** TCP_CONNTRACK_SYN_RECV to TCP_CONNTRACK_CLOSE_WAIT (linux/netfilter/nf_conntrack_tcp.h): answered, and not yet closed by both. */
const OPEN_STATES = { first: 2, last: 5 } as const;
/** Length of struct nfgenmsg. */
const HEADER = 4;
/** Entries that are read before others have their turn; some 4 ms. */
const AT_ONCE = 2000;

export interface OpenConnections {
  /** To the address. */
  readonly in: number;
  /** From the address. */
  readonly out: number;
}

interface Counts {
  in: number;
  out: number;
}

/**
 * How many connections the namespace's kernel tracks from and to each of the addresses, before and after translation:
 * who really asks, and who really answers. TCP that is answered and not closed; of other protocols every entry. One
 * dump, whose walk is done by another thread. @throws KernelError
 */
export async function openConnections(addresses: readonly Ip[]): Promise<ReadonlyMap<Ip, OpenConnections>> {
  const counts = new Map<string, Counts>();
  const found = new Map<Ip, OpenConnections>();
  for (const address of addresses) {
    const key = ipBytes(address).toString('latin1');
    const count = counts.get(key) ?? { in: 0, out: 0 };
    counts.set(key, count);
    found.set(address, count);
  }
  const netlink = new NetlinkSocket(NETLINK_NETFILTER);
  try {
    const answers = await netlink.dumpAside(CT_GET, [Buffer.alloc(HEADER)], 'list connections');
    for (const [index, { payload }] of answers.entries()) {
      if (index % AT_ONCE === AT_ONCE - 1) await new Promise(setImmediate);
      if (isOpen(payload)) count(payload, counts);
    }
  } finally {
    netlink.close();
  }
  return found;
}

function count(entry: Buffer, counts: ReadonlyMap<string, Counts>): void {
  const asker = counts.get(sourceOf(entry, CTA.TUPLE_ORIG));
  const answerer = counts.get(sourceOf(entry, CTA.TUPLE_REPLY));
  if (asker !== undefined) asker.out++;
  if (answerer !== undefined) answerer.in++;
}

function sourceOf(entry: Buffer, tuple: number): string {
  const ip = readIn(readIn(entry, tuple, HEADER), TUPLE_IP);
  return (readIn(ip, IP_V4_SRC) ?? readIn(ip, IP_V6_SRC))?.toString('latin1') ?? '';
}

function isOpen(entry: Buffer): boolean {
  const state = readIn(readIn(readIn(entry, CTA.PROTOINFO, HEADER), PROTOINFO_TCP), TCP_STATE)?.at(0);
  return state === undefined || (state >= OPEN_STATES.first && state <= OPEN_STATES.last);
}
