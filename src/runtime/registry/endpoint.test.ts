import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointsFor } from './endpoint.ts';

const urls = (domain: string): string[] =>
  endpointsFor(
    { domain, path: 'library/x' },
    {
      registryMirrors: ['http://127.0.0.1:5000/'],
      insecureRegistries: ['10.1.0.0/16', 'lab:5000', 'fd00::/8', 'plain'],
    },
  ).map(({ url }) => url);

test('mirrors stand before Docker Hub and nothing else', () => {
  assert.deepEqual(urls('docker.io'), ['http://127.0.0.1:5000', 'https://registry-1.docker.io']);
  assert.deepEqual(urls('ghcr.io'), ['https://ghcr.io']);
});

test('plain HTTP is tried for loopback and for what is declared insecure, by host, port or CIDR', () => {
  for (const domain of [
    'localhost:5000',
    '127.9.9.9',
    '[::1]:5000',
    '10.1.2.3:80',
    'lab:5000',
    'plain:1',
    '[fd00::2]',
  ])
    assert.deepEqual(urls(domain), [`https://${domain}`, `http://${domain}`]);
  for (const domain of ['10.2.0.1', 'lab:5001', 'lab', '128.0.0.1', '[fe80::1]'])
    assert.deepEqual(urls(domain), [`https://${domain}`]);
});
