import type { BridgeResource } from '../plan/resource.ts';
import { deleteLink, MARK, setAddresses, setIpv6, unlessGone } from './link.ts';
import { IFLA } from './link-message.ts';
import { attribute, mac, nested, text, u32 } from './netlink.ts';
import type { RouteSocket } from './rtnetlink.ts';
import { writeSysctl } from './sysctl.ts';

/** @throws KernelError, and then there is no such bridge */
export function createBridge(routes: RouteSocket, bridge: BridgeResource): void {
  routes.createLink(bridge.ifName, [
    attribute(IFLA.ADDRESS, mac(bridge.mac)),
    nested(
      IFLA.LINKINFO,
      attribute(IFLA.INFO_KIND, text('bridge')),
      nested(IFLA.INFO_DATA, attribute(IFLA.BR_STP_STATE, u32(0))),
    ),
  ]);
  try {
    const link = { index: routes.link(bridge.ifName).index, name: bridge.ifName };
    setIpv6(bridge.ifName, bridge.ipv6);
    // Only an MTU given after the creation is the bridge's own; else it follows its ports (net/bridge/br_if.c).
    routes.changeLink(link, [attribute(IFLA.IFALIAS, text(MARK)), attribute(IFLA.MTU, u32(bridge.mtu))]);
    for (const address of bridge.addresses) routes.addAddress(link.index, address);
    routes.changeLink(link, [], true);
    setRouteLocalnet(routes, link.index, bridge);
  } catch (error) {
    deleteLink(routes, bridge.ifName);
    throw error;
  }
}

/** Its name is free at once. Success when it is gone already. */
export function deleteBridge(routes: RouteSocket, { ifName }: BridgeResource): void {
  unlessGone(() => routes.deleteLinkLater(ifName));
}

/** In place: ports and their traffic stay. */
export function changeBridge(routes: RouteSocket, bridge: BridgeResource): void {
  const link = routes.link(bridge.ifName);
  routes.changeLink(link, [
    attribute(IFLA.IFALIAS, text(MARK)),
    ...(link.mac === bridge.mac ? [] : [attribute(IFLA.ADDRESS, mac(bridge.mac))]),
    attribute(IFLA.MTU, u32(bridge.mtu)),
  ]);
  setIpv6(bridge.ifName, bridge.ipv6);
  setAddresses(routes, link.index, bridge.addresses);
  routes.changeLink(link, [], true);
  setRouteLocalnet(routes, link.index, bridge);
}

function setRouteLocalnet(routes: RouteSocket, index: number, bridge: BridgeResource): void {
  writeSysctl(`net/ipv4/conf/${bridge.ifName}/route_localnet`, bridge.routeLocalnet ? '1' : '0');
  // Routes of IPv6 go when the link is down: after it is up.
  if (bridge.ipv6 && bridge.routeLocalnet) routes.addLoopbackRoute(index);
}
