import { bigIntToIp, contains, FAMILIES, familyOf, type Ip, ipToBigInt, prefixOf } from '../model/address.ts';
import type { NamespaceFacts } from '../model/kernel-facts.ts';
import { usualRoute } from './route.ts';
import type { Uplink } from './situation.ts';

/** RFC 5737, RFC 3849: where a packet to anywhere goes. */
const ANYWHERE: readonly Ip[] = ['203.0.113.1' as Ip, '2001:db8:ffff::1' as Ip];

/** Undefined on a host without a default route. */
export function uplinkOf(facts: NamespaceFacts): Uplink | undefined {
  const [route] = ANYWHERE.map((address) => usualRoute(facts, address)).filter(
    (found) => found?.kind === 'unicast' && found.to === undefined,
  );
  const link = facts.links.find(({ index }) => index === route?.link);
  if (link === undefined) return undefined;
  const own = facts.addresses.filter(
    ({ link: index, address }) => index === link.index && !address.startsWith('fe80:'),
  );
  const neighbours = FAMILIES.flatMap((family): Ip[] => {
    const first = own.find(({ address }) => familyOf(address) === family);
    if (first === undefined) return [];
    const gateway = facts.routes.find(
      (each) => each.family === family && each.to === undefined && each.link === link.index,
    )?.gateway;
    // Some router is a neighbour; else any other address of the subnet.
    if (gateway !== undefined && contains(prefixOf(first), gateway)) return [gateway];
    return [bigIntToIp(ipToBigInt(first.address) ^ 3n, first.address)];
  });
  return { device: link.name, addresses: own.map(({ address }) => address), neighbours };
}
