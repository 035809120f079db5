import type { BridgeResource } from '../plan/resource.ts';
import { deleteLink, disableIpv6, MARK, setAddresses } from './link.ts';
import { attribute, mac, nested, text, u32 } from './netlink.ts';
import { IFLA, type RouteSocket } from './rtnetlink.ts';
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
    disableIpv6(bridge.ifName);
    // Only an MTU given after the creation is the bridge's own; else it follows its ports (net/bridge/br_if.c).
    routes.changeLink(link, [attribute(IFLA.IFALIAS, text(MARK)), attribute(IFLA.MTU, u32(bridge.mtu))]);
    for (const address of bridge.addresses) routes.addAddress(link.index, address);
    setRouteLocalnet(bridge);
    routes.changeLink(link, [], true);
  } catch (error) {
    deleteLink(routes, bridge.ifName);
    throw error;
  }
}

/** In place: ports and their traffic stay. */
export function changeBridge(routes: RouteSocket, bridge: BridgeResource): void {
  const link = routes.link(bridge.ifName);
  routes.changeLink(link, [
    attribute(IFLA.IFALIAS, text(MARK)),
    ...(link.mac === bridge.mac ? [] : [attribute(IFLA.ADDRESS, mac(bridge.mac))]),
    attribute(IFLA.MTU, u32(bridge.mtu)),
  ]);
  setAddresses(routes, link.index, bridge.addresses);
  setRouteLocalnet(bridge);
  routes.changeLink(link, [], true);
}

function setRouteLocalnet(bridge: BridgeResource): void {
  writeSysctl(`net/ipv4/conf/${bridge.ifName}/route_localnet`, bridge.routeLocalnet ? '1' : '0');
}
