import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { formatPrefix, formatSocketAddress } from '../../src/model/address.ts';
import type { Resource } from '../../src/plan/resource.ts';

/** `UPDATE_GOLDENS=1` writes what is made now; look at the difference before it is committed. */
export function matchesGolden(name: string, made: string): void {
  const file = new URL(name, import.meta.url);
  if (process.env.UPDATE_GOLDENS === '1') writeFileSync(file, made);
  assert.equal(made, readFileSync(file, 'utf8'));
}

/** A planned resource as a line of a golden file. */
export function resourceLine(resource: Resource): string {
  switch (resource.kind) {
    case 'netns':
      return `netns ${resource.path}`;
    case 'bridge': {
      const { ifName, mac, mtu, addresses, routeLocalnet } = resource;
      const local = routeLocalnet ? ' route_localnet' : '';
      return `bridge ${ifName} ${mac} mtu ${mtu} ${addresses.map(formatPrefix).join(' ')}${local}`;
    }
    case 'veth': {
      const { hostIfName, bridge, netns, ifName, mac, addresses, gateway, gateway6 } = resource;
      const route = [gateway, gateway6]
        .map((via) => (via === undefined ? '' : ` default via ${via}`))
        .join('');
      const isolated = resource.isolated ? ' isolated' : '';
      return `veth ${hostIfName} in ${bridge}${isolated}; ${ifName} in ${netns} ${mac} ${addresses.map(formatPrefix).join(' ')}${route}`;
    }
    case 'vxlan':
      return `vxlan ${resource.ifName} in ${resource.bridge} vni ${resource.vni} local ${resource.local}:${resource.port} mtu ${resource.mtu}`;
    case 'fdb':
      return `fdb ${resource.vxlan} ${resource.mac} at ${resource.host}`;
    case 'neighbour':
      return `neighbour ${resource.vxlan} ${resource.address} has ${resource.mac}`;
    case 'macvlan': {
      const { ifName, netns, mac, addresses, parent, mode } = resource;
      return `macvlan ${ifName} in ${netns} on ${parent} (${mode}) ${mac} ${addresses.map(formatPrefix).join(' ')}`;
    }
    case 'ruleset':
      return `ruleset ${resource.table}`;
    case 'element':
      return `element ${resource.table} ${resource.set} { ${resource.key}${resource.value === undefined ? '' : ` : ${resource.value}`} }`;
    case 'host-port':
      return `host-port ${resource.protocol} ${formatSocketAddress(resource.address, resource.port)}`;
  }
}
