import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, decode, encode, RECURSION_DESIRED } from 'dns-packet';
import type { Ipv4 } from '../model/address.ts';
import { NameTable } from './name-table.ts';
import { Resolver, type View } from './resolver.ts';

/** Ten thousand endpoints on ten networks, each with a name, an alias, a short id, and an alias all of a network share. */
const NETWORKS = 10;
const PER_NETWORK = 1000;
const COUNT = NETWORKS * PER_NETWORK;
/** What a question may take: the limit. A name server that looks at every name takes longer for all of them. */
const PATIENCE_MS = 1000;

const addressOf = (i: number, block = 10): Ipv4 => `${block}.0.${i >> 8}.${i & 255}` as Ipv4;
const networkOf = (i: number): number => i % NETWORKS;
const idOf = (i: number): string => (i * 7919 + 2 ** 40).toString(16).padStart(12, '0');
const namesOf = (i: number): string[] => [`Name${i}`, `alias-${i}`, idOf(i), 'everybody'];

function add(table: NameTable, i: number, address = addressOf(i)): void {
  const network = networkOf(i);
  table.add({
    endpointId: `endpoint${i}`,
    networkId: `id${network}`,
    networkName: `net${network}`,
    addresses: [address],
    names: namesOf(i),
  });
}

function fill(count = COUNT): NameTable {
  const table = new NameTable();
  for (let i = 0; i < count; i++) add(table, i);
  return table;
}

const viewOf = (...networks: number[]): View => ({
  networkIds: networks.map((network) => `id${network}`),
  links: new Map(),
  gateways: [],
  upstreams: undefined,
});

function asker(table: NameTable) {
  const resolver = new Resolver(table);
  return async (
    name: string,
    view: View,
    type: 'A' | 'AAAA' | 'PTR' = 'A',
    transport: 'udp' | 'tcp' = 'udp',
  ) => {
    const query = encode({ type: 'query', id: 9, flags: RECURSION_DESIRED, questions: [{ type, name }] });
    const begin = performance.now();
    const bytes = await resolver.answer(query, view, transport);
    const milliseconds = performance.now() - begin;
    assert.ok(bytes !== undefined);
    const packet = decode(bytes) as ReturnType<typeof decode> & { rcode: string };
    const data = (packet.answers ?? []).map((record: Answer) => ('data' in record ? record.data : undefined));
    return { rcode: packet.rcode, data, bytes: bytes.length, milliseconds };
  };
}

test('every one of 10,000 containers is found by all its names and its address, each question in time', async () => {
  const ask = asker(fill());
  let slowest = 0;
  for (let i = 0; i < COUNT; i++) {
    const network = networkOf(i);
    const view = viewOf(network);
    for (const name of [`name${i}`, `ALIAS-${i}`, idOf(i), `Name${i}.net${network}`]) {
      const { data, milliseconds } = await ask(name, view);
      assert.deepEqual(data, [addressOf(i)], name);
      slowest = Math.max(slowest, milliseconds);
    }
    const back = addressOf(i).split('.').reverse().join('.');
    assert.deepEqual((await ask(`${back}.in-addr.arpa`, view, 'PTR')).data, [`Name${i}.net${network}`]);
  }
  assert.ok(slowest < PATIENCE_MS, `${slowest} ms`);
});

test('none of them is found from another network, and one on all networks finds them all', async () => {
  const ask = asker(fill());
  const all = viewOf(...Array(NETWORKS).keys());
  for (let i = 0; i < COUNT; i += 7) {
    assert.equal((await ask(`name${i}`, viewOf((networkOf(i) + 1) % NETWORKS))).rcode, 'SERVFAIL');
    assert.deepEqual((await ask(`name${i}`, all)).data, [addressOf(i)]);
    const six = await ask(`name${i}`, all, 'AAAA');
    assert.deepEqual([six.rcode, six.data], ['NOERROR', []]);
  }
});

test('all are replaced while they are asked for: the new address at once, never the old one', async () => {
  const table = fill();
  const ask = asker(table);
  for (let i = 0; i < COUNT; i++) {
    const view = viewOf(networkOf(i));
    table.remove(`endpoint${i}`);
    assert.equal((await ask(`name${i}`, view)).rcode, 'SERVFAIL');
    add(table, i, addressOf(i, 11));
    assert.deepEqual((await ask(`alias-${i}`, view)).data, [addressOf(i, 11)]);
  }
  for (let i = 0; i < COUNT; i++) table.remove(`endpoint${i}`);
  for (let network = 0; network < NETWORKS; network++)
    assert.equal((await ask('everybody', viewOf(network))).rcode, 'SERVFAIL');
});

test('a name of a thousand containers: what a datagram holds, and all of them by TCP', async () => {
  const ask = asker(fill());
  const mine = new Set(Array.from({ length: COUNT }, (_, i) => i).filter((i) => networkOf(i) === 3));
  const carriers = [...mine].map((i) => addressOf(i));
  const cut = await ask('everybody', viewOf(3));
  assert.ok(cut.bytes <= 512 && cut.data.length > 10, `${cut.data.length} in ${cut.bytes} bytes`);
  for (const one of cut.data) assert.ok(carriers.includes(one as Ipv4));
  const whole = await ask('everybody', viewOf(3), 'A', 'tcp');
  assert.deepEqual(whole.data.map(String).sort(), carriers.sort());
  assert.ok(cut.milliseconds < PATIENCE_MS && whole.milliseconds < PATIENCE_MS);
});

test('a question and a change cost what they cost with a hundred names', async () => {
  const time = async (count: number): Promise<number> => {
    const table = fill(count);
    const ask = asker(table);
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 20; round++) {
      const begin = performance.now();
      for (let i = 0; i < 100; i++) {
        await ask(`name${i}`, viewOf(networkOf(i)));
        table.remove(`endpoint${i}`);
        add(table, i);
      }
      best = Math.min(best, performance.now() - begin);
    }
    return best;
  };
  await time(100);
  const few = await time(100);
  const many = await time(COUNT);
  // One that looks at all names or at all carriers of the shared one would cost up to a hundred times as much.
  assert.ok(many < 5 * few, `100 names: ${few} ms, 10,000 names: ${many} ms`);
});
