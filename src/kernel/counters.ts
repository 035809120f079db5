import { readFileSync } from 'node:fs';
import { type Family, ipFromBytes } from '../model/address.ts';
import type { Protocol } from '../model/port.ts';
import { KernelError } from './kernel.ts';
import { attribute, parseAttributes, text } from './netlink.ts';
import { NetlinkSocket } from './netlink-socket.ts';

/** What the kernel counts of an interface, since it was made. Of the interface itself: a host's end receives what the container sends. */
export interface LinkCounters {
  readonly receive: DirectionCounters;
  readonly transmit: DirectionCounters;
}
export interface DirectionCounters {
  readonly bytes: number;
  readonly packets: number;
  readonly errors: number;
  readonly dropped: number;
}

/** First packets of connections that came for a published port. */
export interface PortCounter {
  readonly family: Family;
  /** Undefined: every address of the host. */
  readonly hostIp: string | undefined;
  readonly protocol: Protocol;
  readonly port: number;
  readonly packets: number;
}

/** Of every link, by name. The kernel's text (proc_pid_net(5), dev) costs it a tenth of a listing by netlink. */
export function linkCounters(): ReadonlyMap<string, LinkCounters> {
  const counters = new Map<string, LinkCounters>();
  for (const line of readFileSync('/proc/thread-self/net/dev', 'latin1').split('\n').slice(2)) {
    const end = line.indexOf(':');
    if (end < 0) continue;
    const at = line
      .slice(end + 1)
      .trim()
      .split(/ +/);
    const direction = (first: number): DirectionCounters => ({
      bytes: Number(at[first]),
      packets: Number(at[first + 1]),
      errors: Number(at[first + 2]),
      dropped: Number(at[first + 3]),
    });
    counters.set(line.slice(0, end).trim(), { receive: direction(0), transmit: direction(8) });
  }
  return counters;
}

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
const TABLE = 'gangway';

/**
 * Of every published port, one listing of each map. By netlink itself: libnftables takes 700 ms for 10,000 of them.
 * @throws KernelError
 */
export function portCounters(): readonly PortCounter[] {
  const socket = new NetlinkSocket(NETLINK_NETFILTER);
  try {
    return (['ipv4', 'ipv6'] as const).flatMap((family) => [
      ...listMap(socket, family, 'pub_any'),
      ...listMap(socket, family, 'pub_addr'),
    ]);
  } finally {
    socket.close();
  }
}

function listMap(socket: NetlinkSocket, family: Family, set: string): readonly PortCounter[] {
  const header = Buffer.from([NFPROTO[family], 0, 0, 0]);
  const parts = [header, attribute(ELEM_LIST.TABLE, text(TABLE)), attribute(ELEM_LIST.SET, text(set))];
  try {
    const found: PortCounter[] = [];
    for (const { payload } of socket.dump(GETSETELEM, parts, `list ${set}`)) {
      const elements = parseAttributes(payload, 4).get(ELEM_LIST.ELEMENTS);
      if (elements === undefined) continue;
      for (const element of list(elements)) {
        const counter = portCounter(family, set === 'pub_addr', element);
        if (counter !== undefined) found.push(counter);
      }
    }
    return found;
  } catch (error) {
    // Without a table of that family (--ip6tables=false).
    if (error instanceof KernelError && error.errno === 'ENOENT') return [];
    throw error;
  }
}

/** A concatenated key has each of its parts at a multiple of four bytes: address, protocol, port. */
function portCounter(family: Family, addressed: boolean, element: Buffer): PortCounter | undefined {
  const attributes = parseAttributes(element);
  const key = value(attributes.get(ELEM.KEY), DATA_VALUE);
  const packets = value(value(attributes.get(ELEM.EXPR), EXPR_DATA), COUNTER_PACKETS);
  if (key === undefined || packets === undefined) return undefined;
  const at = addressed ? (family === 'ipv4' ? 4 : 16) : 0;
  const protocol = PROTOCOLS[key.readUInt8(at)];
  if (protocol === undefined) return undefined;
  return {
    family,
    hostIp: addressed ? ipFromBytes(key.subarray(0, at)) : undefined,
    protocol,
    port: key.readUInt16BE(at + 4),
    packets: Number(packets.readBigUInt64BE()),
  };
}

const value = (payload: Buffer | undefined, type: number): Buffer | undefined =>
  payload === undefined ? undefined : parseAttributes(payload).get(type);

/** Attributes that all have the same type. */
function* list(payload: Buffer): Generator<Buffer> {
  for (let at = 0; at + 4 <= payload.length; ) {
    const length = payload.readUInt16LE(at);
    if (length < 4) return;
    yield payload.subarray(at + 4, at + length);
    at += (length + 3) & ~3;
  }
}
