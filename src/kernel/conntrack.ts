import { type Ip, ipBytes } from '../model/address.ts';
import { attribute, type NetlinkMessage, nested, parseAttributes } from './netlink.ts';
import { NETLINK_NETFILTER } from './netlink-listener.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { addressFamily } from './socket-address.ts';
import { readSysctl } from './sysctl.ts';

/** Connection tracking over netlink (linux/netfilter/nfnetlink_conntrack.h). */

const CT_GET = (1 << 8) | 1;
const CT_DELETE = (1 << 8) | 2;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_ID = 12;
const CTA_ZONE = 18;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_IP_V6_SRC = 3;
const CTA_IP_V6_DST = 4;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_DST_PORT = 3;

/** Length of struct nfgenmsg. */
const HEADER = 4;

interface Tuple {
  readonly source: Buffer | undefined;
  readonly destination: Buffer | undefined;
  readonly protocol: number | undefined;
  readonly destinationPort: number | undefined;
}

export interface TrackedConnection {
  readonly original: Tuple;
  readonly reply: Tuple;
  /** What names the entry in a delete request. */
  readonly identity: readonly Buffer[];
}

export interface ConnectionFilter {
  /** AF_INET or AF_INET6. */
  readonly family: number;
  readonly matches: (connection: TrackedConnection) => boolean;
}

/** Connections with this address at any of their four ends. */
export function touches(address: Ip): ConnectionFilter {
  const wanted = ipBytes(address);
  const at = (end: Buffer | undefined): boolean => end?.equals(wanted) ?? false;
  return {
    family: addressFamily(address),
    matches: ({ original, reply }) =>
      at(original.source) || at(original.destination) || at(reply.source) || at(reply.destination),
  };
}

/**
 * Connections that came for one of these ports before translation, but for those that lead to `leadsTo` already.
 * @param protocol an IP protocol number
 */
export function cameFor(
  protocol: number,
  ports: { readonly first: number; readonly last: number },
  leadsTo: Ip,
): ConnectionFilter {
  const right = ipBytes(leadsTo);
  return {
    family: addressFamily(leadsTo),
    matches: ({ original: { protocol: of, destinationPort: port }, reply }) =>
      of === protocol &&
      port !== undefined &&
      port >= ports.first &&
      port <= ports.last &&
      !(reply.source?.equals(right) ?? false),
  };
}

/**
 * Deletes what one of the filters chooses, of the namespace the thread is in now. A dump walks every bucket of the
 * kernel's hash table, 9 ms for an empty one of 262,144, so it is another thread's work, and one for each family. Never
 * rejects: a kernel without nf_conntrack has nothing to forget, and an entry may end by itself meanwhile.
 * @returns how many entries are gone
 */
export async function forget(filters: readonly ConnectionFilter[]): Promise<number> {
  if (Number(readSysctl('net/netfilter/nf_conntrack_count') ?? 0) === 0) return 0;
  const families = Map.groupBy(filters, ({ family }) => family);
  const netlinks: NetlinkSocket[] = [];
  let count = 0;
  try {
    for (const [family, wanted] of families) {
      const netlink = new NetlinkSocket(NETLINK_NETFILTER);
      netlinks.push(netlink);
      for (const answer of await netlink.dumpAside(CT_GET, [header(family)], 'list connections')) {
        const connection = parseConnection(answer);
        if (wanted.some(({ matches }) => matches(connection)) && forgetOne(netlink, family, connection))
          count++;
      }
    }
  } catch {
    // No nf_conntrack, or no right to it.
  }
  for (const netlink of netlinks) netlink.close();
  return count;
}

const header = (family: number): Buffer => Buffer.from([family, 0, 0, 0]);

function forgetOne(netlink: NetlinkSocket, family: number, connection: TrackedConnection): boolean {
  try {
    netlink.request(CT_DELETE, 0, [header(family), ...connection.identity], 'delete connection');
    return true;
  } catch {
    return false;
  }
}

export function parseConnection(answer: NetlinkMessage): TrackedConnection {
  const attributes = parseAttributes(answer.payload, HEADER);
  const original = attributes.get(CTA_TUPLE_ORIG);
  const id = attributes.get(CTA_ID);
  const zone = attributes.get(CTA_ZONE);
  return {
    original: parseTuple(original),
    reply: parseTuple(attributes.get(CTA_TUPLE_REPLY)),
    identity: [
      ...(original === undefined ? [] : [nested(CTA_TUPLE_ORIG, original)]),
      ...(id === undefined ? [] : [attribute(CTA_ID, id)]),
      ...(zone === undefined ? [] : [attribute(CTA_ZONE, zone)]),
    ],
  };
}

function parseTuple(payload: Buffer | undefined): Tuple {
  const parts = parseAttributes(payload ?? Buffer.alloc(0));
  const ip = parseAttributes(parts.get(CTA_TUPLE_IP) ?? Buffer.alloc(0));
  const protocol = parseAttributes(parts.get(CTA_TUPLE_PROTO) ?? Buffer.alloc(0));
  return {
    source: ip.get(CTA_IP_V4_SRC) ?? ip.get(CTA_IP_V6_SRC),
    destination: ip.get(CTA_IP_V4_DST) ?? ip.get(CTA_IP_V6_DST),
    protocol: protocol.get(CTA_PROTO_NUM)?.readUInt8(0),
    destinationPort: protocol.get(CTA_PROTO_DST_PORT)?.readUInt16BE(0),
  };
}
