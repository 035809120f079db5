import { attribute, ipv4, type NetlinkMessage, nested, parseAttributes } from './netlink.ts';
import { NetlinkSocket } from './netlink-socket.ts';

/** Connection tracking over netlink (linux/netfilter/nfnetlink_conntrack.h). */

const NETLINK_NETFILTER = 12;
const CT_GET = (1 << 8) | 1;
const CT_DELETE = (1 << 8) | 2;
const AF_INET = 2;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_ID = 12;
const CTA_ZONE = 18;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_DST_PORT = 3;

/** struct nfgenmsg. */
const HEADER = Buffer.from([AF_INET, 0, 0, 0]);

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

export type ConnectionFilter = (connection: TrackedConnection) => boolean;

/** Connections with this IPv4 address at any of their four ends. */
export function touches(address: string): ConnectionFilter {
  const wanted = ipv4(address);
  const at = (end: Buffer | undefined): boolean => end?.equals(wanted) ?? false;
  return ({ original, reply }) =>
    at(original.source) || at(original.destination) || at(reply.source) || at(reply.destination);
}

/** Connections that came for this port before translation. @param protocol an IP protocol number */
export function cameFor(protocol: number, port: number): ConnectionFilter {
  return ({ original }) => original.protocol === protocol && original.destinationPort === port;
}

/**
 * Deletes what `filter` chooses, of the namespace the thread is in. Never throws: a kernel without nf_conntrack has
 * nothing to forget, and an entry may end by itself meanwhile.
 * @returns how many entries are gone
 */
export function forget(filter: ConnectionFilter): number {
  let netlink: NetlinkSocket;
  try {
    netlink = new NetlinkSocket(NETLINK_NETFILTER);
  } catch {
    return 0;
  }
  let count = 0;
  try {
    for (const answer of netlink.dump(CT_GET, [HEADER], 'list connections')) {
      const connection = parseConnection(answer);
      if (!filter(connection)) continue;
      try {
        netlink.request(CT_DELETE, 0, [HEADER, ...connection.identity], 'delete connection');
        count++;
      } catch {}
    }
  } catch {
  } finally {
    netlink.close();
  }
  return count;
}

export function parseConnection(answer: NetlinkMessage): TrackedConnection {
  const attributes = parseAttributes(answer.payload, HEADER.length);
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
    source: ip.get(CTA_IP_V4_SRC),
    destination: ip.get(CTA_IP_V4_DST),
    protocol: protocol.get(CTA_PROTO_NUM)?.readUInt8(0),
    destinationPort: protocol.get(CTA_PROTO_DST_PORT)?.readUInt16BE(0),
  };
}
