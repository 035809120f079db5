import { closeSync, openSync } from 'node:fs';
import type { Family, Ip } from '../model/address.ts';
import type { VethResource } from '../plan/resource.ts';
import { KernelError } from './kernel.ts';
import { deleteLink, isGone, MARK, setAddresses, setIpv6 } from './link.ts';
import { attribute, mac, nested, text, u8, u32 } from './netlink.ts';
import type { NetnsSwitch } from './netns.ts';
import { IFLA, linkHeader, RouteSocket } from './rtnetlink.ts';
import { writeSysctl } from './sysctl.ts';

/** @throws KernelError, and then there is neither end */
export function createVeth(routes: RouteSocket, namespaces: NetnsSwitch, veth: VethResource): void {
  const bridge = routes.link(veth.bridge).index;
  const netns = openSync(veth.netns, 'r');
  try {
    const peer = nested(
      IFLA.VETH_INFO_PEER,
      // Not up: the peer of a pair half made is not connected yet, and the kernel answers ENOTCONN.
      linkHeader(0),
      attribute(IFLA.IFNAME, text(veth.ifName)),
      attribute(IFLA.ADDRESS, mac(veth.mac)),
      attribute(IFLA.MTU, u32(veth.mtu)),
      attribute(IFLA.NET_NS_FD, u32(netns)),
    );
    routes.createLink(veth.hostIfName, [
      attribute(IFLA.MTU, u32(veth.mtu)),
      nested(IFLA.LINKINFO, attribute(IFLA.INFO_KIND, text('veth')), nested(IFLA.INFO_DATA, peer)),
    ]);
  } finally {
    closeSync(netns);
  }
  try {
    configureInside(namespaces, veth, (inner, link) => {
      for (const address of veth.addresses) inner.addAddress(link.index, address);
      inner.changeLink(link, [], true);
      for (const gateway of [veth.gateway, veth.gateway6]) {
        if (gateway !== undefined) inner.setDefaultRoute(link.index, gateway);
      }
      writeSysctls(veth);
    });
    connectToBridge(routes, veth, bridge);
  } catch (error) {
    deleteLink(routes, veth.hostIfName);
    throw error;
  }
}

/** In place where the pair itself stays; made anew where it leads into another namespace or has another name. */
export function replaceVeth(
  routes: RouteSocket,
  namespaces: NetnsSwitch,
  before: VethResource,
  veth: VethResource,
): void {
  const samePair =
    before.hostIfName === veth.hostIfName && before.netns === veth.netns && before.ifName === veth.ifName;
  if (!samePair) {
    deleteLink(routes, before.hostIfName);
    createVeth(routes, namespaces, veth);
    return;
  }
  const bridge = routes.link(veth.bridge).index;
  const host = routes.link(veth.hostIfName);
  routes.changeLink(host, [attribute(IFLA.MTU, u32(veth.mtu))]);
  configureInside(namespaces, veth, (inner, link) => {
    const changed = link.mac === veth.mac ? [] : [attribute(IFLA.ADDRESS, mac(veth.mac))];
    inner.changeLink(link, [...changed, attribute(IFLA.MTU, u32(veth.mtu))], true);
    setAddresses(inner, link.index, veth.addresses);
    setGateway(inner, link.index, 'ipv4', veth.gateway);
    setGateway(inner, link.index, 'ipv6', veth.gateway6);
    writeSysctls(veth);
  });
  connectToBridge(routes, veth, bridge);
}

function setGateway(inner: RouteSocket, link: number, family: Family, gateway: Ip | undefined): void {
  if (gateway !== undefined) {
    inner.setDefaultRoute(link, gateway);
    return;
  }
  try {
    inner.deleteDefaultRoute(link, family);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** @throws KernelError ENOENT when there is no such setting */
function writeSysctls(veth: VethResource): void {
  for (const [name, value] of Object.entries(veth.sysctls ?? {})) {
    if (!writeSysctl(name, value)) throw new KernelError(`no such setting: ${name}`, 'ENOENT');
  }
}

/**
 * Tells the neighbours whose the addresses are now (RFC 5227 §2.3, RFC 4861 §7.2.6): an address may have had another MAC
 * a moment ago. Setting the MAC it has makes the kernel send both.
 */
export function announce(namespaces: NetnsSwitch, veth: VethResource): void {
  namespaces.inside(veth.netns, () => {
    writeSysctl(`net/ipv4/conf/${veth.ifName}/arp_notify`, '1');
    if (veth.ipv6) writeSysctl(`net/ipv6/conf/${veth.ifName}/ndisc_notify`, '1');
    const inner = new RouteSocket();
    try {
      inner.changeLink({ index: 0, name: veth.ifName }, [attribute(IFLA.ADDRESS, mac(veth.mac))]);
    } finally {
      inner.close();
    }
  });
}

function configureInside(
  namespaces: NetnsSwitch,
  veth: VethResource,
  body: (inner: RouteSocket, link: { index: number; name: string; mac: string }) => void,
): void {
  namespaces.inside(veth.netns, () => {
    setIpv6(veth.ifName, veth.ipv6);
    const inner = new RouteSocket();
    try {
      body(inner, inner.link(veth.ifName));
    } finally {
      inner.close();
    }
  });
}

/** Last, so that no frame meets a half configured endpoint. */
function connectToBridge(routes: RouteSocket, veth: VethResource, bridge: number): void {
  setIpv6(veth.hostIfName, false);
  const link = { index: 0, name: veth.hostIfName };
  routes.changeLink(link, [attribute(IFLA.MASTER, u32(bridge)), attribute(IFLA.IFALIAS, text(MARK))], true);
  // Its own published port by the host's address comes back to a container through the port it left by.
  routes.changeLink(link, [
    nested(
      IFLA.LINKINFO,
      attribute(IFLA.INFO_SLAVE_KIND, text('bridge')),
      nested(
        IFLA.INFO_SLAVE_DATA,
        attribute(IFLA.BRPORT_MODE, u8(1)),
        attribute(IFLA.BRPORT_ISOLATED, u8(veth.isolated ? 1 : 0)),
      ),
    ),
  ]);
}
