import type { Family } from '../model/address.ts';
import { KernelError } from './kernel.ts';
import type { RouteSocket } from './rtnetlink.ts';
import { readSysctl, writeSysctl } from './sysctl.ts';

/** @throws KernelError ENOENT when the kernel has no such family */
export function enableForwarding(routes: RouteSocket, family: Family): void {
  if (family === 'ipv6') keepRouterAdvertisements(routes);
  const name = family === 'ipv4' ? 'net/ipv4/ip_forward' : 'net/ipv6/conf/all/forwarding';
  if (readSysctl(name) === '1') return;
  if (!writeSysctl(name, '1')) throw new KernelError(`this kernel has no ${family} forwarding`, 'ENOENT');
}

/** accept_ra=1 means "unless forwarding" (Documentation/networking/ip-sysctl), and the uplink would lose its address. */
function keepRouterAdvertisements(routes: RouteSocket): void {
  if (readSysctl('net/ipv6/conf/all/forwarding') === '1') return;
  for (const { name } of routes.links()) {
    if (readSysctl(`net/ipv6/conf/${name}/accept_ra`) === '1') {
      writeSysctl(`net/ipv6/conf/${name}/accept_ra`, '2');
    }
  }
}
