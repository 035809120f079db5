import {
  bigIntToIp,
  type Family,
  familyOf,
  type InterfaceAddress,
  type Ip,
  ipBytes,
  ipFromBytes,
  ipToBigInt,
} from '../model/address.ts';
import type { LinkCounters } from '../model/topology.ts';
import { KernelError } from './kernel.ts';
import {
  attribute,
  type NetlinkMessage,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  parseAttributes,
  readMac,
  readText,
  text,
  u32,
} from './netlink.ts';
import { NetlinkSocket } from './netlink-socket.ts';

/** Links, addresses and routes of one network namespace (rtnetlink(7), linux/if_link.h, linux/rtnetlink.h). */

const NETLINK_ROUTE = 0;
/** Message types. */
export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
  GETSTATS: 94,
} as const;

const AF = { ipv4: 2, ipv6: 10 } as const;
const IFF_UP = 1;
const RT_TABLE_MAIN = 254;
const RT_TABLE_LOCAL = 255;
const RTPROT_BOOT = 3;
const RT_SCOPE_UNIVERSE = 0;
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;
const RTEXT_FILTER_SKIP_STATS = 8;

/** 100 times 0.1 ms: the other thread is there after one or two. */
const DELETE_TRIES = 100;
const DELETE_PAUSE = 0.1;
const PAUSE = new Int32Array(new SharedArrayBuffer(4));

export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  LINKINFO: 18,
  IFALIAS: 20,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  INFO_KIND: 1,
  INFO_DATA: 2,
  INFO_SLAVE_KIND: 4,
  INFO_SLAVE_DATA: 5,
  BRPORT_MODE: 4,
  BRPORT_ISOLATED: 33,
  BR_STP_STATE: 5,
  VETH_INFO_PEER: 1,
  MACVLAN_MODE: 1,
  VXLAN_ID: 1,
  VXLAN_LOCAL: 4,
  VXLAN_LEARNING: 7,
  VXLAN_PROXY: 11,
  VXLAN_PORT: 15,
  VXLAN_LOCAL6: 17,
} as const;
const IFLA_STATS_LINK_64 = 1;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_PROTO = 11;
/** Made by the kernel from the MAC, as IPv6 wants it on every link. */
const IFAPROT_KERNEL_LL = 3;
const IFA_F_NODAD = 2;
const AF_BRIDGE = 7;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const NUD_NOARP = 0x40;
const NUD_PERMANENT = 0x80;
const NTF_SELF = 2;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_TABLE = 15;

const LOOPBACK = ipBytes('::1' as Ip);

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mac: string;
  readonly mtu: number;
  readonly alias: string;
  /** `bridge`, `veth`…; empty for a device of hardware. */
  readonly kind: string;
  /** Index of the bridge it is a port of; 0 without one. */
  readonly master: number;
  /** Of a veth the other end's index, of a macvlan the parent's; in that one's namespace. */
  readonly peer: number;
  readonly macvlanMode: number;
  /** Of a tunnel. */
  readonly vxlan: { readonly vni: number; readonly local: Ip | undefined; readonly port: number } | undefined;
  /** Of a bridge port: frames may leave where they came in. */
  readonly hairpin: boolean;
  /** A bridge port that exchanges frames only with the bridge itself and ports that are not isolated. */
  readonly isolated: boolean;
}

export interface Route {
  /** Undefined is the default route. */
  readonly to: InterfaceAddress | undefined;
  readonly gateway: Ip | undefined;
  readonly family: Family;
  readonly link: number;
}

/** struct ifinfomsg. */
export function linkHeader(index: number, flags = 0, mask = 0): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(mask, 12);
  return header;
}

export class RouteSocket {
  readonly #netlink = new NetlinkSocket(NETLINK_ROUTE);

  /** One of the namespace that the thread is in now, closed after `body`. */
  static use<T>(body: (routes: RouteSocket) => T): T {
    const routes = new RouteSocket();
    try {
      return body(routes);
    } finally {
      routes.close();
    }
  }

  /** @throws KernelError EEXIST when the name is taken */
  createLink(name: string, attributes: readonly Buffer[], up = false): void {
    const flags = up ? IFF_UP : 0;
    this.#netlink.request(
      RTM.NEWLINK,
      NLM_F_CREATE | NLM_F_EXCL,
      [linkHeader(0, flags, flags), attribute(IFLA.IFNAME, text(name)), ...attributes],
      `create link ${name}`,
    );
  }

  /** @param link by its index, or by its name when the index is 0 */
  changeLink(link: { index: number; name: string }, attributes: readonly Buffer[], up?: boolean): void {
    const byName = link.index === 0 ? [attribute(IFLA.IFNAME, text(link.name))] : [];
    const [flags, mask] = up === undefined ? [0, 0] : [up ? IFF_UP : 0, IFF_UP];
    this.#netlink.request(
      RTM.NEWLINK,
      0,
      [linkHeader(link.index, flags, mask), ...byName, ...attributes],
      `change link ${link.name}`,
    );
  }

  /**
   * Returns when the link is gone from the namespace. The kernel makes the caller of RTM_DELLINK wait 16 to 30 ms more,
   * for RCU callbacks after the work is done (net/core/dev.c, netdev_run_todo), so another thread is that caller.
   * @throws KernelError ENODEV when it is gone already
   */
  deleteLink(name: string): void {
    const { index } = this.link(name);
    const parts = [linkHeader(index)];
    void new NetlinkSocket(NETLINK_ROUTE).requestAside(RTM.DELLINK, parts);
    for (let tries = 0; tries < DELETE_TRIES; tries++) {
      Atomics.wait(PAUSE, 0, 0, DELETE_PAUSE);
      if (this.#isAbsent(name, index)) return;
    }
    this.#netlink.request(RTM.DELLINK, 0, parts, `delete link ${name}`);
  }

  /** @throws KernelError ENODEV */
  link(name: string): Link {
    const parts = [linkHeader(0), extMask(), attribute(IFLA.IFNAME, text(name))];
    return parseLink(this.#netlink.get(RTM.GETLINK, parts, `link ${name}`));
  }

  links(): readonly Link[] {
    return this.#netlink.dump(RTM.GETLINK, [linkHeader(0), extMask()], 'list links').map(parseLink);
  }

  /** Counters of all links by index; a small part of what `links` costs. */
  statistics(): ReadonlyMap<number, LinkCounters> {
    // struct if_stats_msg: family, padding, index, filter.
    const header = Buffer.alloc(12);
    header.writeUInt32LE(1 << (IFLA_STATS_LINK_64 - 1), 8);
    const answers = this.#netlink.dump(RTM.GETSTATS, [header], 'list counters');
    return new Map(
      answers.map(({ payload }) => [
        payload.readUInt32LE(4),
        parseCounters(parseAttributes(payload, 12).get(IFLA_STATS_LINK_64)),
      ]),
    );
  }

  addAddress(link: number, address: InterfaceAddress): void {
    const parts = addressParts(link, address);
    if (familyOf(address.address) === 'ipv4' && address.length < 31)
      parts.push(attribute(IFA_BROADCAST, ipBytes(broadcast(address))));
    this.#netlink.request(
      RTM.NEWADDR,
      NLM_F_CREATE | NLM_F_REPLACE,
      parts,
      `add address ${address.address}/${address.length}`,
    );
  }

  deleteAddress(link: number, address: InterfaceAddress): void {
    this.#netlink.request(RTM.DELADDR, 0, addressParts(link, address), `delete address ${address.address}`);
  }

  /** Addresses with the index of their link, but for those that IPv6 gives every link by itself. */
  addresses(): readonly (InterfaceAddress & { readonly link: number })[] {
    return this.#netlink.dump(RTM.GETADDR, [Buffer.alloc(8)], 'list addresses').flatMap((answer) => {
      const attributes = parseAttributes(answer.payload, 8);
      // IPv6 has IFA_LOCAL only on a point-to-point link.
      const local = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
      if (local === undefined || attributes.get(IFA_PROTO)?.readUInt8(0) === IFAPROT_KERNEL_LL) return [];
      const length = answer.payload.readUInt8(1);
      return [{ address: ipFromBytes(local), length, link: answer.payload.readUInt32LE(4) }];
    });
  }

  setDefaultRoute(link: number, gateway: Ip): void {
    this.#netlink.request(
      RTM.NEWROUTE,
      NLM_F_CREATE | NLM_F_REPLACE,
      [
        routeHeader(familyOf(gateway)),
        attribute(RTA_GATEWAY, ipBytes(gateway)),
        attribute(RTA_OIF, u32(link)),
      ],
      `default route by ${gateway}`,
    );
  }

  deleteDefaultRoute(link: number, family: Family): void {
    this.#netlink.request(
      RTM.DELROUTE,
      0,
      [routeHeader(family), attribute(RTA_OIF, u32(link))],
      'delete default route',
    );
  }

  /**
   * `ip -6 route add local ::1/128 dev LINK table local`. What comes in for ::1 has to have a route by the link it came by
   * (net/ipv6/route.c, rt6_need_strict), and answers to a translated ::1 do; foreign packets to ::1 are dropped earlier.
   */
  addLoopbackRoute(link: number): void {
    const header = routeHeader('ipv6');
    header[1] = 128;
    header[4] = RT_TABLE_LOCAL;
    header[7] = RTN_LOCAL;
    const parts = [header, attribute(RTA_DST, LOOPBACK), attribute(RTA_OIF, u32(link))];
    try {
      // Not to replace: each bridge has one.
      this.#netlink.request(RTM.NEWROUTE, NLM_F_CREATE, parts, 'route to ::1');
    } catch (error) {
      if (!(error instanceof KernelError && error.errno === 'EEXIST')) throw error;
    }
  }

  /** The links that have a local route to ::1. */
  loopbackRoutes(): ReadonlySet<number> {
    const header = Buffer.alloc(12);
    header[0] = AF.ipv6;
    const found = this.#netlink.dump(RTM.GETROUTE, [header], 'list routes').flatMap((answer) => {
      const attributes = parseAttributes(answer.payload, 12);
      const here = answer.payload.readUInt8(7) === RTN_LOCAL && attributes.get(RTA_DST)?.equals(LOOPBACK);
      return here ? [attributes.get(RTA_OIF)?.readUInt32LE(0) ?? 0] : [];
    });
    return new Set(found);
  }

  /**
   * Takes a link out of sight and has it deleted by another thread: for a bridge, whose end holds the kernel's lock of
   * all links for 20 ms (br_multicast_dev_del, rcu_barrier). Until then it is down, without addresses, and called `gone`
   * and its index. @throws KernelError ENODEV when it is gone already
   */
  deleteLinkLater(name: string): void {
    const { index } = this.link(name);
    this.changeLink({ index, name }, [], false);
    for (const address of this.addresses()) if (address.link === index) this.deleteAddress(index, address);
    this.changeLink({ index, name }, [attribute(IFLA.IFNAME, text(`gone${index}`))]);
    void new NetlinkSocket(NETLINK_ROUTE).requestAside(RTM.DELLINK, [linkHeader(index)]);
  }

  #isAbsent(name: string, index: number): boolean {
    try {
      return this.link(name).index !== index;
    } catch (error) {
      if (error instanceof KernelError && error.errno === 'ENODEV') return true;
      throw error;
    }
  }

  /** `bridge fdb append MAC dev LINK dst HOST` of a tunnel: frames to this MAC go to that host. */
  setForwarding(link: number, to: Buffer, host: Buffer): void {
    this.#netlink.request(
      RTM.NEWNEIGH,
      NLM_F_CREATE | NLM_F_REPLACE,
      [neighbourHeader(AF_BRIDGE, link, NTF_SELF), attribute(NDA_LLADDR, to), attribute(NDA_DST, host)],
      'forwarding entry',
    );
  }

  deleteForwarding(link: number, to: Buffer, host: Buffer): void {
    this.#netlink.request(
      RTM.DELNEIGH,
      0,
      [neighbourHeader(AF_BRIDGE, link, NTF_SELF), attribute(NDA_LLADDR, to), attribute(NDA_DST, host)],
      'delete forwarding entry',
    );
  }

  /** Entries of all tunnels; those without a host lead to nobody and are left out. */
  forwardings(): readonly { readonly link: number; readonly mac: string; readonly host: Ip }[] {
    return this.#netlink
      .dump(RTM.GETNEIGH, [neighbourHeader(AF_BRIDGE, 0, 0)], 'list forwarding entries')
      .flatMap((answer) => {
        const attributes = parseAttributes(answer.payload, 12);
        const [mac, host] = [attributes.get(NDA_LLADDR), attributes.get(NDA_DST)];
        if (mac === undefined || host === undefined) return [];
        return [{ link: answer.payload.readInt32LE(4), mac: readMac(mac), host: ipFromBytes(host) }];
      });
  }

  setNeighbour(link: number, address: Ip, mac: Buffer): void {
    this.#netlink.request(
      RTM.NEWNEIGH,
      NLM_F_CREATE | NLM_F_REPLACE,
      [
        neighbourHeader(AF[familyOf(address)], link, 0),
        attribute(NDA_DST, ipBytes(address)),
        attribute(NDA_LLADDR, mac),
      ],
      `neighbour ${address}`,
    );
  }

  deleteNeighbour(link: number, address: Ip): void {
    this.#netlink.request(
      RTM.DELNEIGH,
      0,
      [neighbourHeader(AF[familyOf(address)], link, 0), attribute(NDA_DST, ipBytes(address))],
      `delete neighbour ${address}`,
    );
  }

  /** Permanent entries: those somebody wrote. */
  neighbours(): readonly { readonly link: number; readonly address: Ip; readonly mac: string }[] {
    return this.#netlink
      .dump(RTM.GETNEIGH, [neighbourHeader(0, 0, 0)], 'list neighbours')
      .flatMap((answer) => {
        const attributes = parseAttributes(answer.payload, 12);
        const [address, mac] = [attributes.get(NDA_DST), attributes.get(NDA_LLADDR)];
        const permanent = (answer.payload.readUInt16LE(8) & NUD_PERMANENT) !== 0;
        if (address === undefined || mac === undefined || !permanent) return [];
        return [{ link: answer.payload.readInt32LE(4), address: ipFromBytes(address), mac: readMac(mac) }];
      });
  }

  /** Unicast routes of the main table. */
  routes(): readonly Route[] {
    return this.#netlink.dump(RTM.GETROUTE, [Buffer.alloc(12)], 'list routes').flatMap(parseRoute);
  }

  close(): void {
    this.#netlink.close();
  }
}

const extMask = (): Buffer => attribute(IFLA.EXT_MASK, u32(RTEXT_FILTER_SKIP_STATS));

function addressParts(link: number, address: InterfaceAddress): Buffer[] {
  const family = familyOf(address.address);
  const flags = family === 'ipv6' ? IFA_F_NODAD : 0;
  const header = Buffer.from([AF[family], address.length, flags, 0, 0, 0, 0, 0]);
  header.writeUInt32LE(link, 4);
  const bytes = ipBytes(address.address);
  return [header, attribute(IFA_LOCAL, bytes), attribute(IFA_ADDRESS, bytes)];
}

function broadcast({ address, length }: InterfaceAddress): Ip {
  return bigIntToIp(ipToBigInt(address) | ((1n << BigInt(32 - length)) - 1n), address);
}

/** struct ndmsg. */
function neighbourHeader(family: number, link: number, flags: number): Buffer {
  const header = Buffer.alloc(12);
  header[0] = family;
  header.writeInt32LE(link, 4);
  header.writeUInt16LE(NUD_PERMANENT | NUD_NOARP, 8);
  header[10] = flags;
  return header;
}

function routeHeader(family: Family): Buffer {
  return Buffer.from([
    AF[family],
    0,
    0,
    0,
    RT_TABLE_MAIN,
    RTPROT_BOOT,
    RT_SCOPE_UNIVERSE,
    RTN_UNICAST,
    0,
    0,
    0,
    0,
  ]);
}

/** RTM_NEWLINK. */
export function parseLink(answer: NetlinkMessage): Link {
  const attributes = parseAttributes(answer.payload, 16);
  const number = (type: number): number => attributes.get(type)?.readUInt32LE(0) ?? 0;
  const string = (payload: Buffer | undefined): string => (payload === undefined ? '' : readText(payload));
  const info = parseAttributes(attributes.get(IFLA.LINKINFO) ?? Buffer.alloc(0));
  const port = parseAttributes(info.get(IFLA.INFO_SLAVE_DATA) ?? Buffer.alloc(0));
  const kind = string(info.get(IFLA.INFO_KIND));
  const hasData = kind === 'macvlan' || kind === 'vxlan';
  const data = parseAttributes((hasData ? info.get(IFLA.INFO_DATA) : undefined) ?? Buffer.alloc(0));
  const local = data.get(IFLA.VXLAN_LOCAL) ?? data.get(IFLA.VXLAN_LOCAL6);
  const address = attributes.get(IFLA.ADDRESS);
  return {
    index: answer.payload.readInt32LE(4),
    name: string(attributes.get(IFLA.IFNAME)),
    up: (answer.payload.readUInt32LE(8) & IFF_UP) !== 0,
    mac: address === undefined ? '' : readMac(address),
    mtu: number(IFLA.MTU),
    alias: string(attributes.get(IFLA.IFALIAS)),
    kind,
    master: number(IFLA.MASTER),
    peer: number(IFLA.LINK),
    vxlan:
      kind === 'vxlan'
        ? {
            vni: data.get(IFLA.VXLAN_ID)?.readUInt32LE(0) ?? 0,
            local: local === undefined ? undefined : ipFromBytes(local),
            port: data.get(IFLA.VXLAN_PORT)?.readUInt16BE(0) ?? 0,
          }
        : undefined,
    macvlanMode: data.get(IFLA.MACVLAN_MODE)?.readUInt32LE(0) ?? 0,
    hairpin: port.get(IFLA.BRPORT_MODE)?.readUInt8(0) === 1,
    isolated: port.get(IFLA.BRPORT_ISOLATED)?.readUInt8(0) === 1,
  };
}

/** struct rtnl_link_stats64; received is what came in by the link. */
/** @param stats struct rtnl_link_stats64 (linux/if_link.h) */
export function parseCounters(stats: Buffer | undefined): LinkCounters {
  const at = (n: number): number => Number(stats?.readBigUInt64LE(8 * n) ?? 0n);
  return [at(2), at(3), at(0), at(1), at(6) + at(7)];
}

function parseRoute(answer: NetlinkMessage): Route[] {
  const attributes = parseAttributes(answer.payload, 12);
  const table = attributes.get(RTA_TABLE)?.readUInt32LE(0) ?? answer.payload.readUInt8(4);
  const link = attributes.get(RTA_OIF)?.readUInt32LE(0);
  if (table !== RT_TABLE_MAIN || answer.payload.readUInt8(7) !== RTN_UNICAST || link === undefined) return [];
  const length = answer.payload.readUInt8(1);
  const to = attributes.get(RTA_DST);
  const gateway = attributes.get(RTA_GATEWAY);
  return [
    {
      to: to === undefined ? undefined : { address: ipFromBytes(to), length },
      gateway: gateway === undefined ? undefined : ipFromBytes(gateway),
      family: answer.payload.readUInt8(0) === AF.ipv6 ? 'ipv6' : 'ipv4',
      link,
    },
  ];
}
