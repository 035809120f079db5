import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Exchange, Upstreams } from './upstream.ts';

const reply = (rcode: number, mark: number): Buffer =>
  Buffer.from([0, 1, 0x80, rcode, 0, 0, mark, 0, 0, 0, 0, 0]);
const query = reply(0, 0);
type Behaviour = { readonly after: number; readonly rcode?: number };

function play(servers: Readonly<Record<string, Behaviour>>): { upstreams: Upstreams; asked: string[] } {
  const asked: string[] = [];
  const exchange: Exchange = async (server, _query, _transport, signal) => {
    asked.push(server);
    const { after, rcode } = servers[server] ?? { after: 0 };
    await sleep(after, undefined, { signal });
    if (rcode === undefined) throw new Error('dead');
    return reply(rcode, Number(server));
  };
  return { upstreams: new Upstreams(Object.keys(servers), exchange), asked };
}

const mark = (answer: Buffer | undefined): number | undefined => answer?.[6];

test('a healthy first server is the only one asked', async () => {
  const { upstreams, asked } = play({ 1: { after: 5, rcode: 0 }, 2: { after: 0, rcode: 0 } });
  assert.equal(mark(await upstreams.ask(query, 'udp')), 1);
  assert.deepEqual(asked, ['1']);
});

test('a slow server is overtaken after its head start', async () => {
  const { upstreams } = play({ 1: { after: 3000, rcode: 0 }, 2: { after: 5, rcode: 0 } });
  const begin = performance.now();
  assert.equal(mark(await upstreams.ask(query, 'udp')), 2);
  assert.ok(performance.now() - begin < 1000);
});

test('a dead one and one that says SERVFAIL are passed over at once, and stay behind next time', async () => {
  const { upstreams, asked } = play({
    1: { after: 0 },
    2: { after: 0, rcode: 2 },
    3: { after: 0, rcode: 0 },
  });
  assert.equal(mark(await upstreams.ask(query, 'udp')), 3);
  asked.length = 0;
  assert.equal(mark(await upstreams.ask(query, 'udp')), 3);
  assert.deepEqual(asked, ['3']);
});

test('NXDOMAIN is an answer; SERVFAIL is given on when nobody says better; silence is undefined', async () => {
  assert.equal(
    mark(await play({ 1: { after: 0, rcode: 3 }, 2: { after: 0, rcode: 0 } }).upstreams.ask(query, 'udp')),
    1,
  );
  assert.equal(
    mark(await play({ 1: { after: 0, rcode: 2 }, 2: { after: 0 } }).upstreams.ask(query, 'udp')),
    1,
  );
  assert.equal(await play({ 1: { after: 0 } }).upstreams.ask(query, 'udp'), undefined);
  assert.equal(await play({}).upstreams.ask(query, 'udp'), undefined);
});

test('once there is an answer nobody else is asked, and who was not asked has not failed', async () => {
  const { upstreams, asked } = play({
    1: { after: 3000, rcode: 0 },
    2: { after: 5, rcode: 0 },
    3: { after: 5, rcode: 0 },
  });
  assert.equal(mark(await upstreams.ask(query, 'udp')), 2);
  await sleep(200);
  assert.deepEqual(asked, ['1', '2']);
});
