import { closeSync, openSync } from 'node:fs';
import type { MacvlanMode } from '../model/network.ts';
import type { MacvlanResource } from '../plan/resource.ts';
import { setUpInside } from './inner-interface.ts';
import { deleteLink, MARK } from './link.ts';
import { IFLA } from './link-message.ts';
import { attribute, mac, nested, text, u32 } from './netlink.ts';
import type { NetnsSwitch } from './netns.ts';
import { RouteSocket } from './rtnetlink.ts';

/** linux/if_link.h, `enum macvlan_mode`. */
export const MACVLAN_MODES: Readonly<Record<MacvlanMode, number>> = {
  private: 1,
  vepa: 2,
  bridge: 4,
  passthru: 8,
};

/** Undefined for one that no network of the engine's has. */
export const macvlanModeOf = (value: number): MacvlanMode | undefined =>
  (Object.keys(MACVLAN_MODES) as MacvlanMode[]).find((mode) => MACVLAN_MODES[mode] === value);

/** Made in the sandbox at once: its name may be one of the host's. @throws KernelError ENODEV without the parent; nothing is left then */
export function createMacvlan(routes: RouteSocket, namespaces: NetnsSwitch, macvlan: MacvlanResource): void {
  const parent = routes.link(macvlan.parent).index;
  const netns = openSync(macvlan.netns, 'r');
  try {
    routes.createLink(macvlan.ifName, [
      attribute(IFLA.LINK, u32(parent)),
      attribute(IFLA.NET_NS_FD, u32(netns)),
      attribute(IFLA.ADDRESS, mac(macvlan.mac)),
      ...(macvlan.mtu === undefined ? [] : [attribute(IFLA.MTU, u32(macvlan.mtu))]),
      nested(
        IFLA.LINKINFO,
        attribute(IFLA.INFO_KIND, text('macvlan')),
        nested(IFLA.INFO_DATA, attribute(IFLA.MACVLAN_MODE, u32(MACVLAN_MODES[macvlan.mode]))),
      ),
    ]);
  } finally {
    closeSync(netns);
  }
  try {
    // An alias is not taken by the request that makes a link.
    setUpInside(namespaces, macvlan, [attribute(IFLA.IFALIAS, text(MARK))]);
  } catch (error) {
    deleteMacvlan(namespaces, macvlan);
    throw error;
  }
}

/** Success when it, or its namespace, is gone already. */
export function deleteMacvlan(namespaces: NetnsSwitch, { netns, ifName }: MacvlanResource): void {
  namespaces.inside(netns, () => RouteSocket.use((routes) => deleteLink(routes, ifName)));
}
