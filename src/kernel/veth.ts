import { closeSync, openSync } from 'node:fs';
import type { VethResource } from '../plan/resource.ts';
import { changeInside, setUpInside } from './inner-interface.ts';
import { deleteLink, MARK, setIpv6 } from './link.ts';
import { IFLA, linkHeader } from './link-message.ts';
import { attribute, mac, nested, text, u8, u32 } from './netlink.ts';
import type { NetnsSwitch } from './netns.ts';
import type { RouteSocket } from './rtnetlink.ts';

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
    setUpInside(namespaces, veth);
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
  changeInside(namespaces, veth, veth.mtu);
  connectToBridge(routes, veth, bridge);
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
