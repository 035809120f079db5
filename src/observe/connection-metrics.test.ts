import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { endpoint, network } from '../explain/example.ts';
import type { OpenConnections } from '../kernel/open-connections.ts';
import type { Ip } from '../model/address.ts';
import { ConnectionMetrics } from './connection-metrics.ts';

const lamp = network({ name: 'lamp', subnet: '10.9.0.0', bridge: 'br-lamp' });
const web = endpoint(lamp, 'web', '10.9.1.2', []);

/** What is told with so many tracked connections, and how often the kernel was asked for all of them. */
async function told(tracked: number): Promise<{ readonly text: string; readonly asked: number }> {
  let asked = 0;
  const registry = new Registry();
  const metrics = new ConnectionMetrics(registry, {
    sysctl: (name) => (name.endsWith('_count') ? `${tracked}` : '262144'),
    openConnections: async () => {
      asked++;
      return new Map<Ip, OpenConnections>([['10.9.1.2' as Ip, { in: 3, out: 4 }]]);
    },
  });
  const counted = await metrics.count([web]);
  metrics.set(counted, [web], new Map([[lamp.id, lamp]]));
  return { text: await registry.metrics(), asked };
}

test('up to 50,000 tracked connections those of containers are counted', async () => {
  const { text, asked } = await told(50_000);
  assert.equal(asked, 1);
  assert.match(text, /^gangway_connections_counted 1$/m);
  assert.match(text, /^gangway_connections\{container="web",network="lamp",direction="in"\} 3$/m);
  assert.match(text, /^gangway_connections\{container="web",network="lamp",direction="out"\} 4$/m);
});

test('above, the kernel is not asked, and that nothing is counted is told', async () => {
  const { text, asked } = await told(50_001);
  assert.equal(asked, 0);
  assert.match(text, /^gangway_connections_counted 0$/m);
  assert.doesNotMatch(text, /^gangway_connections\{/m);
  assert.match(text, /^gangway_conntrack_entries 50001$/m);
});

test('without a connection the kernel is not asked either', async () => {
  const { text, asked } = await told(0);
  assert.equal(asked, 0);
  assert.match(text, /^gangway_connections_counted 1$/m);
});
