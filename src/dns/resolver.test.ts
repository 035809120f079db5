import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, decode, encode, RECURSION_DESIRED } from 'dns-packet';
import type { Ip } from '../model/address.ts';
import { RCODE } from './message.ts';
import { NameTable } from './name-table.ts';
import { Resolver, type View } from './resolver.ts';
import { Upstreams } from './upstream.ts';

const names = new NameTable();
const add = (endpointId: string, address: string, ...own: string[]) =>
  names.add({
    endpointId,
    networkId: 'n1',
    networkName: 'lamp',
    addresses: address.split('+') as Ip[],
    names: own,
  });
add('e1', '172.18.0.2', 'mysql', 'db');
add('e2', '172.18.0.3', 'web1', 'web');
add('e3', '172.18.0.4', 'web2', 'web');

const question = (name: string, type: 'A' | 'AAAA' | 'PTR' | 'MX' | 'TXT', udpPayloadSize?: number): Buffer =>
  encode({
    type: 'query',
    id: 77,
    flags: RECURSION_DESIRED,
    questions: [{ type, name }],
    additionals:
      udpPayloadSize === undefined ? [] : [{ type: 'OPT', name: '.', udpPayloadSize } as unknown as Answer],
  });

/** An upstream that answers by the question's name. */
const asked: string[] = [];
const upstreams = new Upstreams(['192.0.2.53'], async (_server, query) => {
  const { questions, id } = decode(query);
  const name = questions?.[0]?.name ?? '';
  asked.push(name);
  if (name === 'servfail.example')
    return encode({ type: 'response', ...(id && { id }), flags: RCODE.SERVFAIL, questions: questions ?? [] });
  const count = name === 'large.example' ? 100 : 1;
  const answers = Array.from(
    { length: count },
    (_, i): Answer => ({ type: 'A', name, ttl: 60, data: `198.51.100.${i}` }),
  );
  return encode({ type: 'response', ...(id && { id }), questions: questions ?? [], answers });
});
const view: View = {
  networkIds: ['n1'],
  links: new Map(),
  gateways: ['172.18.0.1', 'fd00::1'] as Ip[],
  upstreams,
};

async function ask(bytes: Buffer, from: View = view, transport: 'udp' | 'tcp' = 'udp') {
  const answer = await new Resolver(names).answer(bytes, from, transport);
  assert.ok(answer !== undefined);
  const packet = decode(answer) as ReturnType<typeof decode> & { rcode: string };
  return {
    bytes: answer.length,
    id: packet.id,
    rcode: packet.rcode,
    truncated: (answer.readUInt16BE(2) & 0x200) !== 0,
    data: (packet.answers ?? []).map((record) => ('data' in record ? record.data : undefined)),
  };
}

test('a name, an alias, another case', async () => {
  for (const name of ['mysql', 'DB', 'mysql.lamp']) {
    const { id, rcode, data } = await ask(question(name, 'A'));
    assert.deepEqual({ id, rcode, data }, { id: 77, rcode: 'NOERROR', data: ['172.18.0.2'] }, name);
  }
});

test('round robin gives every address, in changing order', async () => {
  const orders = new Set<string>();
  for (let i = 0; i < 50; i++) {
    const { data } = await ask(question('web', 'A'));
    assert.deepEqual([...data].sort(), ['172.18.0.3', '172.18.0.4']);
    orders.add(data.join());
  }
  assert.equal(orders.size, 2);
});

test('another family or type of a known name: NOERROR, nothing, and nobody else is asked', async () => {
  asked.length = 0;
  for (const type of ['AAAA', 'MX', 'TXT'] as const) {
    const { rcode, data } = await ask(question('mysql', type));
    assert.deepEqual({ rcode, data }, { rcode: 'NOERROR', data: [] }, type);
  }
  assert.deepEqual(asked, []);
});

test('reverse, and the names of the host', async () => {
  assert.deepEqual((await ask(question('2.0.18.172.in-addr.arpa', 'PTR'))).data, ['mysql.lamp']);
  assert.deepEqual((await ask(question('host.docker.internal', 'A'))).data, ['172.18.0.1']);
});

test('an unknown name goes to the upstream once, and comes from the cache after that', async () => {
  const resolver = new Resolver(names);
  asked.length = 0;
  for (let i = 0; i < 3; i++) await resolver.answer(question('example.com', 'A'), view, 'udp');
  assert.deepEqual(asked, ['example.com']);
});

test('a name of another network is unknown; without a way out that is SERVFAIL', async () => {
  const alone: View = { networkIds: ['n2'], links: new Map(), gateways: [], upstreams: undefined };
  assert.equal((await ask(question('mysql', 'A'), alone)).rcode, 'SERVFAIL');
});

test('an answer too large for the datagram is truncated to what it holds, by TCP it is whole', async () => {
  for (let i = 0; i < 60; i++) add(`many${i}`, `172.18.1.${i}`, 'many');
  const cut = await ask(question('many', 'A'));
  assert.equal(cut.truncated, true);
  // 12 bytes of header and 10 of question; a record is 20.
  assert.deepEqual([cut.data.length, cut.bytes], [24, 12 + 10 + 24 * 20]);
  assert.equal((await ask(question('many', 'A', 4096))).data.length, 60);
  assert.equal((await ask(question('many', 'A'), view, 'tcp')).data.length, 60);
});

test('what is no question gets no answer', async () => {
  assert.equal(await new Resolver(names).answer(Buffer.from('not dns at all'), view, 'udp'), undefined);
});
