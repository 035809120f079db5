import {
  ATTRIBUTE_HEADER,
  attribute,
  findAttribute,
  readText,
  u8,
  u16be,
  u32be,
  visitMessages,
} from './netlink.ts';
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
/** Length of struct nlmsghdr and struct nfgenmsg. */
const ATTRIBUTES = 20;
const NOTHING = Buffer.alloc(0);

export interface LoggedPacket {
  readonly prefix: string;
  /** From the network header on, cut off after 64 bytes. Overwritten by the next packet. */
  readonly headers: Buffer;
  /** Interface indices, 0 without one. */
  readonly iif: number;
  readonly oif: number;
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

  /**
   * Hands what came since the last call to `visit`, packet by packet.
   * @param datagrams at most as many are read
   * @param choose by the version of IP; the others are passed over
   * @returns how many got lost
   */
  visit(
    datagrams: number,
    visit: (packet: LoggedPacket) => void,
    choose: (version: number) => boolean = () => true,
  ): Pick<Heard, 'more'> & { readonly lost: number } {
    let lost = 0;
    const { more } = this.#netlink.visit(datagrams, (datagram, size) =>
      visitMessages(datagram, size, (at, end) => {
        if (datagram.readUInt16LE(at + 4) !== LOG_PACKET) return;
        const find = (name: number): number => findAttribute(datagram, name, at + ATTRIBUTES, end);
        const number = (name: number): number => {
          const found = find(name);
          return found < 0 ? 0 : datagram.readUInt32BE(found + ATTRIBUTE_HEADER);
        };
        const content = (name: number): Buffer => {
          const found = find(name);
          if (found < 0) return NOTHING;
          return datagram.subarray(found + ATTRIBUTE_HEADER, found + datagram.readUInt16LE(found));
        };
        // Counts the group's packets, so that a gap is what was lost.
        const sequence = number(ULA.SEQ);
        if (this.#next !== undefined) lost += (sequence - this.#next) >>> 0;
        this.#next = (sequence + 1) >>> 0;
        const headers = content(ULA.PAYLOAD);
        if (headers.length > 0 && !choose(headers.readUInt8(0) >> 4)) return;
        const prefix = readText(content(ULA.PREFIX));
        visit({ prefix, headers, iif: number(ULA.INDEV), oif: number(ULA.OUTDEV) });
      }),
    );
    return { more, lost };
  }

  close(): void {
    this.#netlink.close();
  }

  #configure(parts: readonly Buffer[]): void {
    const header = Buffer.concat([u8(0), u8(0), u16be(this.#group)]);
    this.#netlink.request(LOG_CONFIG, 0, [header, ...parts], 'hear logged packets');
  }
}
