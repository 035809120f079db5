import { type Family, ipFromBytes } from '../model/address.ts';
import type { Protocol } from '../model/port.ts';
import { TABLE_NAME } from '../plan/nft-text.ts';
import { KernelError } from './kernel.ts';
import { attribute, attributeList, parseAttributes, text } from './netlink.ts';
import { NetlinkSocket } from './netlink-socket.ts';

/** linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h. */
const NETLINK_NETFILTER = 12;
const GETSETELEM = (10 << 8) | 13;
/** linux/netfilter.h, NFPROTO_*. */
const NFPROTO = { inet: 1, ipv4: 2, ipv6: 10 } as const;
const ELEM_LIST = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
const ELEM = { KEY: 1, EXPR: 7 } as const;
const DATA_VALUE = 1;
const EXPR_DATA = 2;
const COUNTER_BYTES = 1;
const COUNTER_PACKETS = 2;
export const PROTOCOLS: Readonly<Record<number, Protocol>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };
const ANY = { ipv4: '0.0.0.0', ipv6: '::' } as const;
export const ADDRESS_BYTES = { ipv4: 4, ipv6: 16 } as const;

/**
 * How often each published port was translated: NAT sees the first packet of a connection. Keys are
 * `tcp 0.0.0.0 8080`. One listing of two maps a family, by netlink itself: libnftables takes 700 ms for 10,000 ports,
 * this 46. @throws KernelError
 */
export function publishedConnections(): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  const socket = new NetlinkSocket(NETLINK_NETFILTER);
  try {
    for (const family of ['ipv4', 'ipv6'] as const) {
      for (const set of ['pub_any', 'pub_addr'] as const) {
        for (const element of elements(socket, family, TABLE_NAME, set))
          count(family, set === 'pub_addr', element, found);
      }
    }
    return found;
  } finally {
    socket.close();
  }
}

/** The elements of a set; none without it. @throws KernelError */
export function elements(
  socket: NetlinkSocket,
  family: keyof typeof NFPROTO,
  table: string,
  set: string,
): readonly Buffer[] {
  const header = Buffer.from([NFPROTO[family], 0, 0, 0]);
  const parts = [header, attribute(ELEM_LIST.TABLE, text(table)), attribute(ELEM_LIST.SET, text(set))];
  try {
    return socket.dump(GETSETELEM, parts, `list ${set}`).flatMap(({ payload }) => {
      const listed = parseAttributes(payload, 4).get(ELEM_LIST.ELEMENTS);
      return listed === undefined ? [] : attributeList(listed);
    });
  } catch (error) {
    // No table: `--iptables=false`, or somebody has just taken it away.
    if (error instanceof KernelError && error.errno === 'ENOENT') return [];
    throw error;
  }
}

/** A concatenated key has each of its parts at a multiple of four bytes: address, protocol, port. */
function count(family: Family, addressed: boolean, element: Buffer, into: Map<string, number>): void {
  const counted = counterOf(element);
  if (counted === undefined) return;
  const { key, packets } = counted;
  const at = addressed ? ADDRESS_BYTES[family] : 0;
  const address = addressed ? ipFromBytes(key.subarray(0, at)) : ANY[family];
  const port = key.readUInt16BE(at + 4);
  into.set(`${PROTOCOLS[key.readUInt8(at)]} ${address} ${port}`, packets);
}

/** An element with a counter: its key, and what was counted. */
export function counterOf(
  element: Buffer,
): { readonly key: Buffer; readonly packets: number; readonly bytes: number } | undefined {
  const attributes = parseAttributes(element);
  const key = value(attributes.get(ELEM.KEY), DATA_VALUE);
  const counter = value(attributes.get(ELEM.EXPR), EXPR_DATA);
  const number = (type: number): bigint | undefined => value(counter, type)?.readBigUInt64BE();
  const [packets, bytes] = [number(COUNTER_PACKETS), number(COUNTER_BYTES)];
  if (key === undefined || packets === undefined || bytes === undefined) return undefined;
  return { key, packets: Number(packets), bytes: Number(bytes) };
}

const value = (payload: Buffer | undefined, type: number): Buffer | undefined =>
  payload === undefined ? undefined : parseAttributes(payload).get(type);
