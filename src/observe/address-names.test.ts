import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoint, network } from '../explain/example.ts';
import type { Ip, Ipv4, Mac } from '../model/address.ts';
import { AddressNames } from './address-names.ts';

const lamp = network({ name: 'lamp', subnet: '10.9.0.0', bridge: 'br-lamp' });

test('containers by their name of now, those of other hosts, the host, and nobody', () => {
  const endpoints = [endpoint(lamp, 'web', '10.9.1.2', [])];
  const names = new Map<string, string>();
  const remote = {
    id: 'r',
    networkId: 'o',
    nodeId: 'n',
    containerId: 'far',
    containerName: 'far',
    mac: '' as Mac,
    ipv4: '10.0.0.7' as Ipv4,
    names: [],
  };
  const found = new AddressNames({
    endpoints: () => endpoints,
    endpointsOf: (id) => endpoints.filter(({ containerId }) => containerId === id),
    containerName: (id) => names.get(id),
    network: (id) => ({ name: id === 'o' ? 'over' : 'lamp', overlay: id === 'o' }),
    remotes: () => [remote],
    hostAddresses: () => ['192.0.2.1', '10.9.0.1'],
  });
  const find = (address: string) => found.find(address as Ip);
  assert.deepEqual(find('10.9.1.2'), { name: 'web', network: 'lamp', overlay: false });
  assert.deepEqual(find('10.0.0.7'), { name: 'far', network: 'over', overlay: true });
  assert.deepEqual(find('10.9.0.1'), { name: 'host' });
  assert.equal(find('198.51.100.9'), undefined);
  const [web] = endpoints;
  names.set(web?.containerId ?? '', 'renamed');
  found.follow(web?.containerId ?? '');
  assert.equal(find('10.9.1.2')?.name, 'renamed');
  // Its connections end after it, and are still its.
  endpoints.pop();
  found.follow(web?.containerId ?? '');
  assert.equal(find('10.9.1.2')?.name, 'renamed');
});
