import { type InterfaceAddress, ipFromBytes } from '../model/address.ts';
import { TABLE_NAME } from '../plan/nft-text.ts';
import * as libc from './libc.ts';
import { type Link, parseLink } from './link-message.ts';
import { type NetlinkMessage, parseAttributes, parseMessages, readText } from './netlink.ts';
import { NETLINK_NETFILTER, NFNLGRP, openListener } from './netlink-listener.ts';
import { RTM } from './rtnetlink.ts';

/** What happened in the kernel, by whoever did it. */
export type KernelEvent =
  | { readonly kind: 'link'; readonly link: Link }
  | { readonly kind: 'link-gone'; readonly name: string }
  /** It left its bridge. */
  | { readonly kind: 'port-gone'; readonly name: string }
  | { readonly kind: 'address-gone'; readonly link: number; readonly address: InterfaceAddress }
  | { readonly kind: 'default-route' }
  /** Another program changed one of our tables. */
  | { readonly kind: 'table' }
  /** Another program changed the firewall, not our tables. */
  | { readonly kind: 'foreign-firewall' }
  /** More happened than the kernel could keep for us: anything may have. */
  | { readonly kind: 'overrun' };

/** RTNLGRP_LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE as masks (rtnetlink(7)). */
const ROUTE_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
const NETLINK_ROUTE = 0;
const AF_BRIDGE = 7;
const RT_TABLE_MAIN = 254;
const NFT_SUBSYSTEM = 10;
const NFT_MSG_NEWGEN = 15;
const NFTA_GEN_PROC_PID = 2;
/** `NFTA_*_TABLE` of chains, rules, sets and elements, `NFTA_TABLE_NAME` of tables. */
const NFTA_TABLE = 1;
const IFA_ADDRESS = 1;
const RTA_TABLE = 15;
const inbox = Buffer.alloc(1 << 16);

/**
 * Hears what changes in this network namespace. The kernel wakes the process by SIGIO (fcntl(2), O_ASYNC): Node has no
 * way to wait for a netlink socket, and nothing has to ask again and again.
 */
export class ChangeMonitor {
  readonly #routes = openListener(NETLINK_ROUTE, ROUTE_GROUPS);
  readonly #firewall = openListener(NETLINK_NETFILTER, 1 << (NFNLGRP.NFTABLES - 1));
  readonly #listener: (event: KernelEvent) => void;
  readonly #onSignal = (): void => this.#drain();
  /** Of the transaction whose messages are being read: it touches a table of ours. */
  #touched = false;

  /** @throws KernelError */
  constructor(listener: (event: KernelEvent) => void) {
    this.#listener = listener;
    // Before the first signal can come: its default is to end the process (signal(7)).
    process.on('SIGIO', this.#onSignal);
    for (const fd of [this.#routes, this.#firewall]) libc.signalWhenReadable(fd);
  }

  close(): void {
    for (const fd of [this.#routes, this.#firewall]) libc.close(fd);
    process.off('SIGIO', this.#onSignal);
  }

  #drain(): void {
    for (const [fd, read] of [
      [this.#routes, this.#routeEvent],
      [this.#firewall, this.#firewallEvent],
    ] as const) {
      for (;;) {
        const length = libc.receiveNow(fd, inbox);
        if (length === undefined) break;
        if (length === 'overrun') this.#listener({ kind: 'overrun' });
        else
          for (const message of parseMessages(Buffer.from(inbox.subarray(0, length))))
            read.call(this, message);
      }
    }
  }

  #routeEvent(message: NetlinkMessage): void {
    const { type, payload } = message;
    if (type === RTM.NEWLINK || type === RTM.DELLINK) {
      const ofBridge = payload.readUInt8(0) === AF_BRIDGE;
      const link = parseLink(message);
      if (type === RTM.NEWLINK && !ofBridge) this.#listener({ kind: 'link', link });
      else if (type === RTM.DELLINK) {
        this.#listener({ kind: ofBridge ? 'port-gone' : 'link-gone', name: link.name });
      }
    } else if (type === RTM.DELADDR) {
      const address = parseAttributes(payload, 8).get(IFA_ADDRESS);
      if (address === undefined) return;
      const gone = { address: ipFromBytes(address), length: payload.readUInt8(1) };
      this.#listener({ kind: 'address-gone', link: payload.readUInt32LE(4), address: gone });
    } else if (type === RTM.NEWROUTE || type === RTM.DELROUTE) {
      const table = parseAttributes(payload, 12).get(RTA_TABLE)?.readUInt32LE(0);
      if (payload.readUInt8(1) === 0 && table === RT_TABLE_MAIN) this.#listener({ kind: 'default-route' });
    }
  }

  /** The messages of a transaction come together, and after them the one that says who made it. */
  #firewallEvent({ type, payload }: NetlinkMessage): void {
    if (type >> 8 !== NFT_SUBSYSTEM) return;
    const attributes = parseAttributes(payload, 4);
    if ((type & 0xff) !== NFT_MSG_NEWGEN) {
      const table = attributes.get(NFTA_TABLE);
      if (table !== undefined && readText(table) === TABLE_NAME) this.#touched = true;
      return;
    }
    const own = attributes.get(NFTA_GEN_PROC_PID)?.readUInt32BE(0) === process.pid;
    if (!own) this.#listener({ kind: this.#touched ? 'table' : 'foreign-firewall' });
    this.#touched = false;
  }
}
