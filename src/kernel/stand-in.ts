import { closeSync, openSync } from 'node:fs';
import {
  contains,
  type Family,
  type IfName,
  type InterfaceAddress,
  type Ip,
  type NetnsPath,
  overlaps,
  prefixOf,
} from '../model/address.ts';
import { KernelError } from './kernel.ts';
import { deleteLink, MARK, setIpv6 } from './link.ts';
import { IFLA } from './link-message.ts';
import { attribute, nested, text, u32 } from './netlink.ts';
import { type NetnsSwitch, removeNetns } from './netns.ts';
import { RouteSocket } from './rtnetlink.ts';

/** The host's end and the client's end of the last addresses of each block for documentation (RFC 5737, RFC 3849). */
const BLOCKS: Readonly<Record<Family, readonly (readonly [Ip, Ip, number])[]>> = {
  ipv4: ['203.0.113', '192.0.2', '198.51.100'].map(
    (block) => [`${block}.253` as Ip, `${block}.254` as Ip, 30] as const,
  ),
  ipv6: [['2001:db8:ffff:ffff::1' as Ip, '2001:db8:ffff:ffff::2' as Ip, 126]],
};
const HOST_END = 'gwprobe0' as IfName;
const CLIENT_END = 'eth0' as IfName;

/**
 * A client of the host's network that was made for a probe: a namespace with one wire to the host, whose address no one
 * else has. It is no client of the real wire: rules that look at the uplink's name do not see it. Both carry our mark,
 * so what a killed daemon leaves of it is removed at the next start.
 */
export class StandIn {
  readonly netns: NetnsPath;
  readonly address: Ip;
  readonly #routes: RouteSocket;

  private constructor(netns: NetnsPath, address: Ip, routes: RouteSocket) {
    this.netns = netns;
    this.address = address;
    this.#routes = routes;
  }

  /**
   * @param used what the host has routes to. @throws KernelError, EADDRINUSE when every block is in use; there is
   * nothing of it then
   */
  static make(
    routes: RouteSocket,
    namespaces: NetnsSwitch,
    netns: NetnsPath,
    family: Family,
    used: readonly InterfaceAddress[],
  ): StandIn {
    const block = BLOCKS[family].find(([host, , length]) => {
      const wanted = prefixOf({ address: host, length });
      return !used.some((other) => overlaps(prefixOf(other), wanted) || contains(wanted, other.address));
    });
    if (block === undefined)
      throw new KernelError('the host uses every block of addresses for documentation', 'EADDRINUSE');
    const [host, client, length] = block;
    namespaces.create(netns);
    const made = new StandIn(netns, client, routes);
    try {
      made.#connect(namespaces, { address: host, length }, { address: client, length }, family);
      return made;
    } catch (error) {
      made.remove();
      throw error;
    }
  }

  remove(): void {
    deleteLink(this.#routes, HOST_END);
    removeNetns(this.netns);
  }

  #connect(namespaces: NetnsSwitch, host: InterfaceAddress, client: InterfaceAddress, family: Family): void {
    const fd = openSync(this.netns, 'r');
    try {
      const peer = nested(
        IFLA.VETH_INFO_PEER,
        Buffer.alloc(16),
        attribute(IFLA.IFNAME, text(CLIENT_END)),
        attribute(IFLA.NET_NS_FD, u32(fd)),
      );
      this.#routes.createLink(HOST_END, [
        nested(IFLA.LINKINFO, attribute(IFLA.INFO_KIND, text('veth')), nested(IFLA.INFO_DATA, peer)),
      ]);
    } finally {
      closeSync(fd);
    }
    const end = this.#routes.link(HOST_END);
    this.#routes.changeLink(end, [attribute(IFLA.IFALIAS, text(MARK))]);
    setIpv6(HOST_END, family === 'ipv6');
    this.#routes.addAddress(end.index, host);
    namespaces.inside(this.netns, () =>
      RouteSocket.use((routes) => {
        const link = routes.link(CLIENT_END);
        setIpv6(CLIENT_END, family === 'ipv6');
        routes.addAddress(link.index, client);
        routes.changeLink(link, [], true);
        this.#routes.changeLink(end, [], true);
        routes.setDefaultRoute(link.index, host.address);
      }),
    );
  }
}
