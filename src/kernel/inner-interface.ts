import type { Family, Ip } from '../model/address.ts';
import type { InnerInterface } from '../plan/resource.ts';
import { KernelError } from './kernel.ts';
import { setAddresses, setIpv6, unlessGone } from './link.ts';
import { IFLA, type Link } from './link-message.ts';
import { attribute, mac, u32 } from './netlink.ts';
import type { NetnsSwitch } from './netns.ts';
import { RouteSocket } from './rtnetlink.ts';
import { writeSysctl } from './sysctl.ts';

/**
 * A new interface gets its addresses, comes up, and gets its routes and settings.
 * @param attributes of the link, beside
 * @throws KernelError
 */
export function setUpInside(
  namespaces: NetnsSwitch,
  inner: InnerInterface,
  attributes: readonly Buffer[] = [],
): void {
  inside(namespaces, inner, (routes, link) => {
    setIpv6(inner.ifName, inner.ipv6);
    for (const address of inner.addresses) routes.addAddress(link.index, address);
    routes.changeLink(link, attributes, true);
    for (const gateway of [inner.gateway, inner.gateway6]) {
      if (gateway !== undefined) routes.setDefaultRoute(link.index, gateway);
    }
    writeSysctls(inner);
  });
}

/** One that is there becomes as it is wanted; what is right already stays. @throws KernelError */
export function changeInside(namespaces: NetnsSwitch, inner: InnerInterface, mtu: number | undefined): void {
  inside(namespaces, inner, (routes, link) => {
    setIpv6(inner.ifName, inner.ipv6);
    routes.changeLink(
      link,
      [
        ...(link.mac === inner.mac ? [] : [attribute(IFLA.ADDRESS, mac(inner.mac))]),
        ...(mtu === undefined ? [] : [attribute(IFLA.MTU, u32(mtu))]),
      ],
      true,
    );
    setAddresses(routes, link.index, inner.addresses);
    setGateway(routes, link.index, 'ipv4', inner.gateway);
    setGateway(routes, link.index, 'ipv6', inner.gateway6);
    writeSysctls(inner);
  });
}

/**
 * Tells the neighbours whose the addresses are now (RFC 5227 §2.3, RFC 4861 §7.2.6): an address may have had another MAC
 * a moment ago. Setting the MAC it has makes the kernel send both. @throws KernelError
 */
export function announce(namespaces: NetnsSwitch, inner: InnerInterface): void {
  inside(namespaces, inner, (routes, link) => {
    writeSysctl(`net/ipv4/conf/${inner.ifName}/arp_notify`, '1');
    if (inner.ipv6) writeSysctl(`net/ipv6/conf/${inner.ifName}/ndisc_notify`, '1');
    routes.changeLink(link, [attribute(IFLA.ADDRESS, mac(inner.mac))]);
  });
}

function setGateway(routes: RouteSocket, link: number, family: Family, gateway: Ip | undefined): void {
  if (gateway === undefined) unlessGone(() => routes.deleteDefaultRoute(link, family));
  else routes.setDefaultRoute(link, gateway);
}

/** @throws KernelError ENOENT when there is no such setting */
function writeSysctls(inner: InnerInterface): void {
  for (const [name, value] of Object.entries(inner.sysctls ?? {})) {
    if (!writeSysctl(name, value)) throw new KernelError(`no such setting: ${name}`, 'ENOENT');
  }
}

function inside(
  namespaces: NetnsSwitch,
  inner: InnerInterface,
  body: (routes: RouteSocket, link: Link) => void,
): void {
  namespaces.inside(inner.netns, () => RouteSocket.use((routes) => body(routes, routes.link(inner.ifName))));
}
