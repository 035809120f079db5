import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { pino } from 'pino';
import { loadConfig } from '../../daemon/configuration.ts';
import { FakeKernel } from '../../kernel/fake-kernel.ts';
import { EventBus } from '../events.ts';
import { Store } from '../store.ts';
import { Networks } from './networks.ts';

let kernel: FakeKernel;
let networks: Networks;
const said: string[] = [];

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  said.length = 0;
  kernel = new FakeKernel();
  const log = pino({ level: 'warn' }, { write: (line: string) => void said.push(JSON.parse(line).msg) });
  networks = new Networks({
    config: loadConfig({}),
    log,
    store: new Store(':memory:'),
    events: new EventBus(),
    kernel,
  });
  networks.reconcile(() => true);
  networks.watch();
});

const heals = (): number => said.filter((line) => line.includes('put right')).length;

test('a table that another program changed is compared after a moment, and made again', () => {
  const before = [...kernel.resources.keys()].toSorted();
  kernel.resources.delete('ruleset ip');
  kernel.tell({ kind: 'table' });
  assert.equal(heals(), 0);
  mock.timers.tick(50);
  assert.equal(heals(), 1);
  assert.deepEqual([...kernel.resources.keys()].toSorted(), before);
});

test('a link of ours that is gone is made again; links of others, and moments that are over, are nothing', () => {
  kernel.tell({ kind: 'link-gone', name: 'eth7' });
  kernel.tell({ kind: 'port-gone', name: 'docker0' });
  mock.timers.tick(50);
  assert.equal(heals(), 0);
  kernel.resources.delete('link docker0');
  kernel.tell({ kind: 'link-gone', name: 'docker0' });
  mock.timers.tick(50);
  assert.equal(heals(), 1);
  assert.ok(kernel.resources.has('link docker0'));
});

test('where somebody undoes it again and again, the pauses grow to a second and no more', () => {
  const pauses: number[] = [];
  for (let i = 0; i < 12; i++) {
    kernel.resources.delete('ruleset ip');
    kernel.tell({ kind: 'table' });
    let waited = 0;
    for (const before = heals(); heals() === before && waited < 5000; waited += 10) mock.timers.tick(10);
    pauses.push(waited);
  }
  assert.deepEqual(pauses, [50, 50, 50, 50, 50, 50, 100, 200, 400, 800, 1000, 1000]);
});

test('networks without an MTU of their own follow the uplink, others do not', () => {
  networks.create({ Name: 'fixed', Options: { 'com.docker.network.driver.mtu': '1400' } });
  kernel.changeHost({ uplinkMtu: 1420 });
  kernel.tell({ kind: 'default-route' });
  mock.timers.tick(50);
  const mtus = [...kernel.resources.values()].flatMap((each) => (each.kind === 'bridge' ? [each.mtu] : []));
  assert.deepEqual(mtus.toSorted(), [1400, 1420]);
});

test('a firewall in the way is named once, and while it is there', () => {
  kernel.chains = [{ table: 'ip filter', chain: 'FORWARD', why: 'policy drop' }];
  for (let i = 0; i < 2; i++) {
    kernel.tell({ kind: 'foreign-firewall' });
    mock.timers.tick(1000);
  }
  assert.deepEqual(said, ['a firewall that is not ours stops forwarded packets']);
  assert.match(networks.warnings().join(), /chain FORWARD of table ip filter stops/);
  kernel.chains = [];
  kernel.tell({ kind: 'foreign-firewall' });
  mock.timers.tick(1000);
  assert.deepEqual(networks.warnings(), []);
});
