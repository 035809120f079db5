import type { IfName, InterfaceAddress } from '../model/address.ts';
import { prefixOf } from '../model/address.ts';
import type { HostFacts, KernelError } from './kernel.ts';
import { isGone, MARK } from './link.ts';
import type { Link } from './link-message.ts';
import type { RouteSocket } from './rtnetlink.ts';
import { readSysctl } from './sysctl.ts';

const DEFAULT_MTU = 1500;
/** net/ipv4/ip_local_port_range of a kernel as it comes (ip(7)). */
const DEFAULT_PORTS = [32768, 60999] as const;

/** Our own bridges are left out of `usedPrefixes`: the model knows their subnets, and frees them. */
export function hostFacts(routes: RouteSocket): HostFacts {
  const links = routes.links();
  const ours = new Set(links.filter((link) => link.alias === MARK).map((link) => link.index));
  const addresses = routes.addresses();
  const table = routes.routes();
  const used = new Map<string, InterfaceAddress>();
  for (const address of addresses) {
    if (!ours.has(address.link)) used.set(`${address.address}/${address.length}`, bare(address));
  }
  for (const route of table) {
    if (route.to === undefined || route.gateway !== undefined || ours.has(route.link)) continue;
    if (route.to.address.startsWith('fe80:')) continue;
    const covered = [...used.values()].some((other) => {
      const prefix = prefixOf(other);
      return prefix.address === route.to?.address && prefix.length === route.to.length;
    });
    if (!covered) used.set(`${route.to.address}/${route.to.length}`, route.to);
  }
  const defaults = table.filter((route) => route.to === undefined);
  const uplink = (defaults.find((route) => route.family === 'ipv4') ?? defaults[0])?.link;
  return {
    usedPrefixes: [...used.values()],
    localAddresses: addresses.map((address) => address.address),
    ephemeralPorts: ephemeralPorts(),
    uplinkMtu: links.find((link) => link.index === uplink)?.mtu ?? DEFAULT_MTU,
    bridgeFirewall: readSysctl('net/bridge/bridge-nf-call-iptables') === '1',
  };
}

/** Undefined when there is no such device, or it is no bridge. @throws KernelError */
export function foreignBridge(
  routes: RouteSocket,
  ifName: IfName,
): { readonly addresses: readonly InterfaceAddress[]; readonly mtu: number } | undefined {
  let link: Link;
  try {
    link = routes.link(ifName);
  } catch (error) {
    if (isGone(error as KernelError)) return undefined;
    throw error;
  }
  if (link.kind !== 'bridge') return undefined;
  const addresses = routes.addresses().filter((address) => address.link === link.index);
  return { addresses: addresses.map(bare), mtu: link.mtu };
}

function ephemeralPorts(): { readonly first: number; readonly last: number } {
  const [first, last] = (readSysctl('net/ipv4/ip_local_port_range') ?? '').split(/\s+/).map(Number);
  return { first: first || DEFAULT_PORTS[0], last: last || DEFAULT_PORTS[1] };
}

const bare = ({ address, length }: InterfaceAddress): InterfaceAddress => ({ address, length });
