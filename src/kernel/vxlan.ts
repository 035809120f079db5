import { familyOf, ipBytes } from '../model/address.ts';
import type { FdbResource, NeighbourResource, VxlanResource } from '../plan/resource.ts';
import { deleteLink, MARK, setIpv6, unlessGone } from './link.ts';
import { IFLA } from './link-message.ts';
import { attribute, mac, nested, text, u8, u16be, u32 } from './netlink.ts';
import type { RouteSocket } from './rtnetlink.ts';
import { writeSysctl } from './sysctl.ts';

/** linux/if_link.h: no link-local address. */
const IN6_ADDR_GEN_MODE_NONE = '1';
/** linux/if_bridge.h: all multicast goes to this port, whoever listens. */
const MDB_RTR_TYPE_PERM = 2;

/**
 * The tunnel of an overlay network (RFC 7348), as a port of its bridge. It learns nothing and asks nobody: where a MAC is,
 * and whose an address is, are entries that the engine writes (`proxy` answers ARP and neighbour discovery from them), so
 * frames to nobody leave the host not at all.
 * @throws KernelError, and then there is no such link
 */
export function createVxlan(routes: RouteSocket, vxlan: VxlanResource): void {
  const bridge = routes.link(vxlan.bridge).index;
  routes.createLink(vxlan.ifName, [
    attribute(IFLA.MTU, u32(vxlan.mtu)),
    nested(
      IFLA.LINKINFO,
      attribute(IFLA.INFO_KIND, text('vxlan')),
      nested(
        IFLA.INFO_DATA,
        attribute(IFLA.VXLAN_ID, u32(vxlan.vni)),
        attribute(
          familyOf(vxlan.local) === 'ipv4' ? IFLA.VXLAN_LOCAL : IFLA.VXLAN_LOCAL6,
          ipBytes(vxlan.local),
        ),
        attribute(IFLA.VXLAN_PORT, u16be(vxlan.port)),
        attribute(IFLA.VXLAN_LEARNING, u8(0)),
        attribute(IFLA.VXLAN_PROXY, u8(1)),
      ),
    ),
  ]);
  try {
    setIpv6(vxlan.ifName, vxlan.ipv6);
    // The kernel keeps neighbours of IPv6 only where that is on; an address of its own the tunnel does not have.
    if (vxlan.ipv6) writeSysctl(`net/ipv6/conf/${vxlan.ifName}/addr_gen_mode`, IN6_ADDR_GEN_MODE_NONE);
    const link = { index: 0, name: vxlan.ifName };
    routes.changeLink(link, [attribute(IFLA.MASTER, u32(bridge)), attribute(IFLA.IFALIAS, text(MARK))], true);
    if (vxlan.ipv6) routes.changeLink(link, [multicastToHere()]);
  } catch (error) {
    deleteLink(routes, vxlan.ifName);
    throw error;
  }
}

/** Neighbours are asked for by multicast: once a container sends MLD queries, the bridge would keep it from the tunnel. */
const multicastToHere = (): Buffer =>
  nested(
    IFLA.LINKINFO,
    attribute(IFLA.INFO_SLAVE_KIND, text('bridge')),
    nested(IFLA.INFO_SLAVE_DATA, attribute(IFLA.BRPORT_MULTICAST_ROUTER, u8(MDB_RTR_TYPE_PERM))),
  );

/** Where a MAC of the network is. */
export function setFdb(routes: RouteSocket, fdb: FdbResource): void {
  routes.setForwarding(routes.link(fdb.vxlan).index, mac(fdb.mac), ipBytes(fdb.host));
}

/** Success when it, or its tunnel, is gone already. */
export function deleteFdb(routes: RouteSocket, fdb: FdbResource): void {
  unlessGone(() => routes.deleteForwarding(routes.link(fdb.vxlan).index, mac(fdb.mac), ipBytes(fdb.host)));
}

export function setNeighbour(routes: RouteSocket, neighbour: NeighbourResource): void {
  routes.setNeighbour(routes.link(neighbour.vxlan).index, neighbour.address, mac(neighbour.mac));
}

/** Success when it, or its tunnel, is gone already. */
export function deleteNeighbour(routes: RouteSocket, neighbour: NeighbourResource): void {
  unlessGone(() => routes.deleteNeighbour(routes.link(neighbour.vxlan).index, neighbour.address));
}
