import type { InterfaceAddress } from '../model/address.ts';
import { KernelError } from './kernel.ts';
import type { RouteSocket } from './rtnetlink.ts';
import { writeSysctl } from './sysctl.ts';

/** The ifalias of every link of ours. What carries it and is not in the model is removed. */
export const MARK = 'gangway';

export const isGone = (error: unknown): boolean =>
  error instanceof KernelError &&
  ['ENODEV', 'ENOENT', 'ENXIO', 'ESRCH', 'EADDRNOTAVAIL'].includes(error.errno);

/** Success when it is gone already. */
export function deleteLink(routes: RouteSocket, name: string): void {
  try {
    routes.deleteLink(name);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** Gives the link exactly these IPv4 addresses, leaving those it has. */
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

/** Before the link is set up, so that it never has a link-local address. In the calling thread's namespace. */
export function disableIpv6(name: string): void {
  writeSysctl(`net/ipv6/conf/${name}/disable_ipv6`, '1');
}
