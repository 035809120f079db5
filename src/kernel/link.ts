import type { InterfaceAddress } from '../model/address.ts';
import { KernelError } from './kernel.ts';
import type { RouteSocket } from './rtnetlink.ts';
import { writeSysctl } from './sysctl.ts';

/** The ifalias of every link of ours. What carries it and is not in the model is removed. */
export const MARK = 'gangway';

export const isGone = (error: unknown): boolean =>
  error instanceof KernelError &&
  ['ENODEV', 'ENOENT', 'ENXIO', 'ESRCH', 'EADDRNOTAVAIL'].includes(error.errno);

/** Success when what `body` takes away is gone already. */
export function unlessGone(body: () => void): void {
  try {
    body();
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** Success when it is gone already. */
export function deleteLink(routes: RouteSocket, name: string): void {
  unlessGone(() => routes.deleteLink(name));
}

/** Gives the link exactly these addresses, leaving those it has. */
export function setAddresses(routes: RouteSocket, link: number, wanted: readonly InterfaceAddress[]): void {
  const same = (a: InterfaceAddress, b: InterfaceAddress): boolean =>
    a.address === b.address && a.length === b.length;
  const present = routes.addresses().filter((address) => address.link === link);
  for (const address of wanted) {
    if (!present.some((other) => same(other, address))) routes.addAddress(link, address);
  }
  for (const address of present) {
    if (!wanted.some((other) => same(other, address))) routes.deleteAddress(link, address);
  }
}

/**
 * Before the link is set up, so that without IPv6 it never has a link-local address. With it, addresses are given by
 * the engine alone: no neighbour's router advertisement counts, and nothing waits for duplicate address detection, which
 * the engine's own allocation makes needless. In the calling thread's namespace.
 * @throws KernelError EAFNOSUPPORT when IPv6 is wanted and this kernel has none
 */
export function setIpv6(name: string, on: boolean): void {
  const set = (what: string, value: string): boolean => writeSysctl(`net/ipv6/conf/${name}/${what}`, value);
  if (!on) {
    set('disable_ipv6', '1');
    return;
  }
  if (!set('disable_ipv6', '0')) throw new KernelError('this kernel has no IPv6', 'EAFNOSUPPORT');
  set('accept_ra', '0');
  set('accept_dad', '0');
}
