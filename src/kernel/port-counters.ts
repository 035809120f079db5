import { type Family, ipFromBytes } from '../model/address.ts';
import type { Protocol } from '../model/port.ts';
import { TABLE_NAME } from '../plan/nft-text.ts';
import { KernelError } from './kernel.ts';
import { attribute, attributeList, parseAttributes, text } from './netlink.ts';
import { NetlinkSocket } from './netlink-socket.ts';

/** linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h. */
const NETLINK_NETFILTER = 12;
const GETSETELEM = (10 << 8) | 13;
const NFPROTO = { ipv4: 2, ipv6: 10 } as const;
const ELEM_LIST = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
const ELEM = { KEY: 1, EXPR: 7 } as const;
const DATA_VALUE = 1;
const EXPR_DATA = 2;
const COUNTER_PACKETS = 2;
const PROTOCOLS: Readonly<Record<number, Protocol>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };
const ANY = { ipv4: '0.0.0.0', ipv6: '::' } as const;
const ADDRESS_BYTES = { ipv4: 4, ipv6: 16 } as const;

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
        for (const element of elements(socket, family, set))
          count(family, set === 'pub_addr', element, found);
      }
    }
    return found;
  } finally {
    socket.close();
  }
}

function elements(socket: NetlinkSocket, family: Family, set: string): readonly Buffer[] {
  const header = Buffer.from([NFPROTO[family], 0, 0, 0]);
  const parts = [header, attribute(ELEM_LIST.TABLE, text(TABLE_NAME)), attribute(ELEM_LIST.SET, text(set))];
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
  const attributes = parseAttributes(element);
  const key = value(attributes.get(ELEM.KEY), DATA_VALUE);
  const packets = value(value(attributes.get(ELEM.EXPR), EXPR_DATA), COUNTER_PACKETS);
  if (key === undefined || packets === undefined) return;
  const at = addressed ? ADDRESS_BYTES[family] : 0;
  const address = addressed ? ipFromBytes(key.subarray(0, at)) : ANY[family];
  const port = key.readUInt16BE(at + 4);
  into.set(`${PROTOCOLS[key.readUInt8(at)]} ${address} ${port}`, Number(packets.readBigUInt64BE()));
}

const value = (payload: Buffer | undefined, type: number): Buffer | undefined =>
  payload === undefined ? undefined : parseAttributes(payload).get(type);
