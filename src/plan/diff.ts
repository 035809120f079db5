import { isDeepStrictEqual } from 'node:util';
import { missingRules, placedRules } from './placed-rule.ts';
import { type Change, type Resource, resourceKey } from './resource.ts';

/** Making goes down this list, taking away goes up: namespaces before the links in them, elements after what they name. */
const ORDER = [
  'netns',
  'ruleset',
  'bridge',
  'vxlan',
  'fdb',
  'neighbour',
  'host-port',
  'veth',
  'macvlan',
  'element',
] as const satisfies readonly Resource['kind'][];

const rank = (resource: Resource): number => ORDER.indexOf(resource.kind);

/**
 * The kernel's listing of a ruleset is spelled in its own way: it is the same while it has the version, and in each chain
 * every rule. One more, of somebody else, is not taken out.
 */
function same(wanted: Resource, observed: Resource): boolean {
  // Without an MTU of its own it has the parent's, whatever that is.
  if (wanted.kind === 'macvlan' && observed.kind === 'macvlan' && wanted.mtu === undefined) {
    const { mtu: _parents, ...rest } = observed;
    return isDeepStrictEqual(comparable(wanted), comparable(rest));
  }
  if (wanted.kind === 'ruleset') {
    return (
      observed.kind === 'ruleset' &&
      wanted.version === observed.version &&
      missingRules(placedRules(wanted.text), placedRules(observed.text)).length === 0
    );
  }
  return isDeepStrictEqual(comparable(wanted), comparable(observed));
}

/** Addresses in any order; settings of a link are written with it and not looked at again. */
function comparable(resource: Resource): Resource {
  if (!('addresses' in resource)) return resource;
  const addresses = resource.addresses.toSorted((a, b) => (a.address < b.address ? -1 : 1));
  if (resource.kind === 'bridge') return { ...resource, addresses };
  const { sysctls: _written, ...rest } = resource;
  return { ...rest, addresses };
}

/** The changes that make what is observed into what is wanted: first what must go, then what must come. */
export function diff(wanted: readonly Resource[], observed: readonly Resource[]): readonly Change[] {
  const there = new Map(observed.map((resource) => [resourceKey(resource), resource]));
  const removals = new Map(there);
  const additions: Change[] = [];
  const renewed = new Set<string>();
  for (const resource of wanted) {
    const key = resourceKey(resource);
    const before = there.get(key);
    removals.delete(key);
    if (before === undefined) additions.push({ op: 'create', resource });
    else if (!same(resource, before)) {
      additions.push({ op: 'replace', before, resource });
      if (resource.kind === 'vxlan') renewed.add(resource.ifName);
    }
  }
  // A tunnel is replaced by another, and its entries go with it.
  const lost = (resource: Resource): boolean =>
    (resource.kind === 'fdb' || resource.kind === 'neighbour') && renewed.has(resource.vxlan);
  const kept = additions.filter(({ resource }) => !lost(resource));
  const again = renewed.size === 0 ? [] : wanted.filter(lost);
  return [
    ...deletions([...removals.values()]),
    ...[...kept, ...creations(again)].toSorted((a, b) => rank(a.resource) - rank(b.resource)),
  ];
}

/** What takes these away, in a safe order. */
export function deletions(resources: readonly Resource[]): Change[] {
  return resources.toSorted((a, b) => rank(b) - rank(a)).map((resource) => ({ op: 'delete', resource }));
}

export function creations(resources: readonly Resource[]): Change[] {
  return resources.toSorted((a, b) => rank(a) - rank(b)).map((resource) => ({ op: 'create', resource }));
}
