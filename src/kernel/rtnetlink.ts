import { type Family, familyOf, type InterfaceAddress, type Ip } from '../model/address.ts';
import type { LinkCounters } from '../model/topology.ts';
import { addressParts, broadcastParts, type LinkAddress, parseAddress } from './address-message.ts';
import { KernelError } from './kernel.ts';
import {
  IFF_UP,
  IFLA,
  type Link,
  linkHeader,
  parseLink,
  parseStatistics,
  statisticsHeader,
  withoutCounters,
} from './link-message.ts';
import {
  type Forwarding,
  forwardingParts,
  forwardingsHeader,
  type Neighbour,
  neighbourParts,
  neighboursHeader,
  parseForwarding,
  parseNeighbour,
} from './neighbour-message.ts';
import { attribute, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, text } from './netlink.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import {
  defaultRouteParts,
  loopbackRouteParts,
  parseLoopbackRoute,
  parseRoute,
  type Route,
  routesHeader,
} from './route-message.ts';

/** Links, addresses, routes and neighbours of one network namespace (rtnetlink(7)). */

const NETLINK_ROUTE = 0;
/** Message types (linux/rtnetlink.h). */
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

/** 100 times 0.1 ms: the other thread is there after one or two. */
const DELETE_TRIES = 100;
const DELETE_PAUSE = 0.1;
const PAUSE = new Int32Array(new SharedArrayBuffer(4));

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

  #isAbsent(name: string, index: number): boolean {
    try {
      return this.link(name).index !== index;
    } catch (error) {
      if (error instanceof KernelError && error.errno === 'ENODEV') return true;
      throw error;
    }
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

  /** @throws KernelError ENODEV */
  link(name: string): Link {
    const parts = [linkHeader(0), withoutCounters(), attribute(IFLA.IFNAME, text(name))];
    return parseLink(this.#netlink.get(RTM.GETLINK, parts, `link ${name}`));
  }

  links(): readonly Link[] {
    return this.#netlink.dump(RTM.GETLINK, [linkHeader(0), withoutCounters()], 'list links').map(parseLink);
  }

  /** Counters of all links by index; a small part of what `links` costs. */
  statistics(): ReadonlyMap<number, LinkCounters> {
    return new Map(
      this.#netlink.dump(RTM.GETSTATS, [statisticsHeader()], 'list counters').map(parseStatistics),
    );
  }

  addAddress(link: number, address: InterfaceAddress): void {
    this.#netlink.request(
      RTM.NEWADDR,
      NLM_F_CREATE | NLM_F_REPLACE,
      [...addressParts(link, address), ...broadcastParts(address)],
      `add address ${address.address}/${address.length}`,
    );
  }

  deleteAddress(link: number, address: InterfaceAddress): void {
    this.#netlink.request(RTM.DELADDR, 0, addressParts(link, address), `delete address ${address.address}`);
  }

  /** All but those that IPv6 gives every link by itself. */
  addresses(): readonly LinkAddress[] {
    return this.#netlink.dump(RTM.GETADDR, [Buffer.alloc(8)], 'list addresses').flatMap(parseAddress);
  }

  setDefaultRoute(link: number, gateway: Ip): void {
    this.#netlink.request(
      RTM.NEWROUTE,
      NLM_F_CREATE | NLM_F_REPLACE,
      defaultRouteParts(link, familyOf(gateway), gateway),
      `default route by ${gateway}`,
    );
  }

  deleteDefaultRoute(link: number, family: Family): void {
    this.#netlink.request(RTM.DELROUTE, 0, defaultRouteParts(link, family), 'delete default route');
  }

  /** Unicast routes of the main table. */
  routes(): readonly Route[] {
    return this.#netlink.dump(RTM.GETROUTE, [routesHeader()], 'list routes').flatMap(parseRoute);
  }

  /**
   * `ip -6 route add local ::1/128 dev LINK table local`. What comes in for ::1 has to have a route by the link it came by
   * (net/ipv6/route.c, rt6_need_strict), and answers to a translated ::1 do; foreign packets to ::1 are dropped earlier.
   */
  addLoopbackRoute(link: number): void {
    try {
      // Not to replace: each bridge has one.
      this.#netlink.request(RTM.NEWROUTE, NLM_F_CREATE, loopbackRouteParts(link), 'route to ::1');
    } catch (error) {
      if (!(error instanceof KernelError && error.errno === 'EEXIST')) throw error;
    }
  }

  /** The links that have a local route to ::1. */
  loopbackRoutes(): ReadonlySet<number> {
    const routes = this.#netlink.dump(RTM.GETROUTE, [routesHeader('ipv6')], 'list routes');
    return new Set(routes.flatMap(parseLoopbackRoute));
  }

  /** `bridge fdb append MAC dev LINK dst HOST` of a tunnel: frames to this MAC go to that host. */
  setForwarding(link: number, to: Buffer, host: Buffer): void {
    this.#netlink.request(
      RTM.NEWNEIGH,
      NLM_F_CREATE | NLM_F_REPLACE,
      forwardingParts(link, to, host),
      'forwarding entry',
    );
  }

  deleteForwarding(link: number, to: Buffer, host: Buffer): void {
    this.#netlink.request(RTM.DELNEIGH, 0, forwardingParts(link, to, host), 'delete forwarding entry');
  }

  /** Entries of all tunnels; those without a host lead to nobody and are left out. */
  forwardings(): readonly Forwarding[] {
    const entries = this.#netlink.dump(RTM.GETNEIGH, [forwardingsHeader()], 'list forwarding entries');
    return entries.flatMap(parseForwarding);
  }

  setNeighbour(link: number, address: Ip, mac: Buffer): void {
    this.#netlink.request(
      RTM.NEWNEIGH,
      NLM_F_CREATE | NLM_F_REPLACE,
      neighbourParts(link, address, mac),
      `neighbour ${address}`,
    );
  }

  deleteNeighbour(link: number, address: Ip): void {
    this.#netlink.request(RTM.DELNEIGH, 0, neighbourParts(link, address), `delete neighbour ${address}`);
  }

  /** Permanent entries: those somebody wrote. */
  neighbours(): readonly Neighbour[] {
    return this.#netlink.dump(RTM.GETNEIGH, [neighboursHeader()], 'list neighbours').flatMap(parseNeighbour);
  }

  close(): void {
    this.#netlink.close();
  }
}
