import { attribute, type NetlinkMessage, parseAttributes, readText, u8, u16be, u32be } from './netlink.ts';
import { type Heard, NETLINK_NETFILTER } from './netlink-listener.ts';
import { NetlinkSocket } from './netlink-socket.ts';

/** Packets that rules with a `log group` tell of (linux/netfilter/nfnetlink_log.h). */

const LOG_PACKET = 4 << 8;
const LOG_CONFIG = (4 << 8) | 1;
const CONFIG = { CMD: 1, MODE: 2, TIMEOUT: 4, QTHRESH: 5, FLAGS: 6 } as const;
const COMMAND_BIND = 1;
const COPY_PACKET = 2;
/** The headers of IPv6 and TCP. */
const COPY_BYTES = 64;
/** 1/100 s that the kernel gathers packets for one message, and how many it gathers. */
const GATHER_CS = 5;
const GATHER_PACKETS = 64;
const F_SEQ = 1;
const ULA = { INDEV: 4, OUTDEV: 5, PAYLOAD: 9, PREFIX: 10, SEQ: 12 } as const;
/** struct nfgenmsg. */
const HEADER = 4;

export interface LoggedPacket {
  readonly prefix: string;
  /** From the network header on, cut off after 64 bytes. */
  readonly headers: Buffer;
  /** Interface indices, 0 without one. */
  readonly iif: number;
  readonly oif: number;
  /** Counts the group's packets, so that a gap is what was lost. */
  readonly sequence: number;
}

/** Undefined for another kind of message. */
export function parseLoggedPacket({ type, payload }: NetlinkMessage): LoggedPacket | undefined {
  if (type !== LOG_PACKET) return undefined;
  const attributes = parseAttributes(payload, HEADER);
  const number = (name: number): number => attributes.get(name)?.readUInt32BE(0) ?? 0;
  return {
    prefix: readText(attributes.get(ULA.PREFIX) ?? Buffer.alloc(0)),
    headers: attributes.get(ULA.PAYLOAD) ?? Buffer.alloc(0),
    iif: number(ULA.INDEV),
    oif: number(ULA.OUTDEV),
    sequence: number(ULA.SEQ),
  };
}

/** Hears a group in the namespace it is made in. The kernel's group ends with it. */
export class PacketLog {
  readonly #netlink = new NetlinkSocket(NETLINK_NETFILTER);
  readonly #group: number;
  #next: number | undefined;

  /** @throws KernelError: EBUSY when another program has the group, EOPNOTSUPP without nfnetlink_log */
  constructor(group: number) {
    this.#group = group;
    try {
      const copy = Buffer.concat([u32be(COPY_BYTES), u8(COPY_PACKET), u8(0)]);
      this.#configure([attribute(CONFIG.CMD, u8(COMMAND_BIND))]);
      this.#configure([
        attribute(CONFIG.MODE, copy),
        attribute(CONFIG.TIMEOUT, u32be(GATHER_CS)),
        attribute(CONFIG.QTHRESH, u32be(GATHER_PACKETS)),
        attribute(CONFIG.FLAGS, u16be(F_SEQ)),
      ]);
    } catch (error) {
      this.#netlink.close();
      throw error;
    }
  }

  /** @param datagrams at most as many are read. @returns what came since the last call, and how many of it got lost */
  read(
    datagrams: number,
  ): Pick<Heard, 'more'> & { readonly packets: readonly LoggedPacket[]; readonly lost: number } {
    const { messages, more } = this.#netlink.heard(datagrams);
    const packets = messages.flatMap((message) => parseLoggedPacket(message) ?? []);
    let lost = 0;
    for (const { sequence } of packets) {
      if (this.#next !== undefined) lost += (sequence - this.#next) >>> 0;
      this.#next = (sequence + 1) >>> 0;
    }
    return { packets, lost, more };
  }

  close(): void {
    this.#netlink.close();
  }

  #configure(parts: readonly Buffer[]): void {
    const header = Buffer.concat([u8(0), u8(0), u16be(this.#group)]);
    this.#netlink.request(LOG_CONFIG, 0, [header, ...parts], 'hear logged packets');
  }
}
