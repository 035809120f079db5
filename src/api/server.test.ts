import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import Docker from 'dockerode';
import { pino } from 'pino';
import type { DaemonConfig } from '../engine/config.ts';
import { EventBus } from '../engine/events.ts';
import { conflict } from '../model/errors.ts';
import { eventRoutes } from './events.ts';
import { hijackRoute } from './hijack.ts';
import { type Listeners, listen } from './listen.ts';
import { createApi } from './server.ts';
import { unsupportedRoutes } from './unsupported.ts';

const directory = mkdtempSync(join(tmpdir(), 'gangway-api-'));
const socketPath = join(directory, 'docker.sock');
const bus = new EventBus();
let listeners: Listeners;

before(async () => {
  const app = createApi(pino({ level: 'silent' }));
  app.get('/minor', async (incoming) => ({ minor: incoming.apiMinor }));
  app.post('/containers/create', async (incoming) => ({ body: incoming.body ?? null }));
  app.post('/images/load', async (incoming) => {
    let bytes = 0;
    for await (const chunk of incoming.raw) bytes += (chunk as Buffer).length;
    return { bytes };
  });
  app.get('/broken', async () => {
    throw new Error('a fault');
  });
  hijackRoute(app, 'POST', '/exec/:id/start', async (context) => {
    if (context.params.id === 'missing') throw conflict('not now');
    const stream = context.upgrade('application/vnd.docker.raw-stream');
    stream.write(`${JSON.stringify(context.body ?? null)} ${context.apiMinor} ${context.query.a ?? ''}\n`);
    if (context.params.id === 'brief') return void stream.end();
    stream.on('data', (chunk) => stream.write(chunk));
    // The client's end arrives first; the answer still has to get through.
    stream.on('end', () => setTimeout(() => stream.end('bye\n'), 20));
    stream.on('error', () => stream.destroy());
  });
  eventRoutes(app, bus);
  unsupportedRoutes(app);
  const config = { hosts: [`unix://${socketPath}`], group: 'no-such-group' } as unknown as DaemonConfig;
  listeners = await listen(app, config, pino({ level: 'silent' }));
});
after(async () => {
  await listeners.close(0);
  rmSync(directory, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

function call(
  method: string,
  path: string,
  body?: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method, path, headers, agent: false }, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text }),
      );
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** Writes the pieces one after another, ends its side, and gives everything that came back. */
function raw(pieces: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketPath, allowHalfOpen: true });
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('end', () => {
      socket.destroy();
      resolve(text);
    });
    socket.on('error', reject);
    const next = (left: readonly string[]): void => {
      const [piece, ...more] = left;
      if (piece === undefined) return void socket.end();
      socket.write(piece);
      setTimeout(next, 30, more);
    };
    next(pieces);
  });
}

const JSON_TYPE = { 'Content-Type': 'application/json' };

test('the socket is for root and its group only', () => {
  assert.equal(statSync(socketPath).mode & 0o777, 0o660);
});

test('versions are negotiated', async () => {
  for (const [path, minor] of [
    ['/minor', 51],
    ['/v1.24/minor', 24],
    ['/v1.43/minor', 43],
    ['/v1.51/minor', 51],
  ] as const) {
    const answer = await call('GET', path);
    assert.equal(answer.text, JSON.stringify({ minor }));
    assert.equal(answer.headers['api-version'], '1.51');
    assert.equal(answer.headers.ostype, 'linux');
    assert.equal(answer.headers['docker-experimental'], 'false');
  }
  const refusals = [
    [
      '/v1.10/minor',
      'client version 1.10 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version',
    ],
    ['/v1.99/minor', 'client version 1.99 is too new. Maximum supported API version is 1.51'],
    ['/v2.0/minor', 'client version 2.0 is too new. Maximum supported API version is 1.51'],
  ] as const;
  for (const [path, message] of refusals) {
    const answer = await call('GET', path);
    assert.equal(answer.status, 400);
    assert.deepEqual(JSON.parse(answer.text), { message });
  }
});

test('what is not there and what breaks', async () => {
  const cases = [
    ['GET', '/v1.51/nothere', 404, 'page not found'],
    ['DELETE', '/minor', 404, 'page not found'],
    ['GET', '/broken', 500, 'a fault'],
    ['GET', '/swarm', 503, /^This node is not a swarm manager/],
    ['POST', '/swarm/leave', 503, 'This node is not part of a swarm'],
    ['POST', '/v1.51/build', 501, 'building images is not implemented by Gangway yet'],
    ['GET', '/plugins/x/json', 404, 'plugin "x" not found'],
  ] as const;
  for (const [method, path, status, message] of cases) {
    const answer = await call(method, path);
    assert.equal(answer.status, status, path);
    assert.equal(answer.headers['content-type'], 'application/json');
    const told = (JSON.parse(answer.text) as { message: string }).message;
    if (typeof message === 'string') assert.equal(told, message);
    else assert.match(told, message);
  }
  assert.equal((await call('GET', '/plugins')).text, '[]');
});

// Recorded from dockerd 28.5.2.
test('JSON bodies are taken and refused as dockerd does', async () => {
  const create = '/v1.51/containers/create';
  const cases: readonly (readonly [body: string | undefined, type: string | undefined, expected: string])[] =
    [
      ['{"Image":"x"}', 'application/json', '{"body":{"Image":"x"}}'],
      ['{"Image":"x"}', 'application/json; charset=utf-8', '{"body":{"Image":"x"}}'],
      [undefined, undefined, '{"body":null}'],
      [
        '{bad',
        'application/json',
        "invalid JSON: invalid character 'b' looking for beginning of object key string",
      ],
      ['', 'application/json', 'invalid JSON: got EOF while reading request body'],
      ['{} {}', 'application/json', 'unexpected content after JSON'],
      ['{}', 'text/plain', "unsupported Content-Type header (text/plain): must be 'application/json'"],
      [
        '{}',
        'text/ plain x',
        'malformed Content-Type header (text/ plain x): mime: expected token after slash',
      ],
      ['{}', undefined, 'malformed Content-Type header (): mime: no media type'],
    ];
  for (const [body, type, expected] of cases) {
    const headers: Record<string, string> = type === undefined ? {} : { 'Content-Type': type };
    headers['Content-Length'] = String(body?.length ?? 0);
    const { status, text } = await call('POST', create, body, headers);
    assert.equal(status, expected.startsWith('{') ? 200 : 400, `${body} ${type}: ${text}`);
    assert.equal(status === 200 ? text : (JSON.parse(text) as { message: string }).message, expected);
  }
});

test('other bodies pass through as streams, whatever their type', async () => {
  const body = 'x'.repeat(3 << 20);
  for (const headers of [
    { 'Content-Type': 'application/x-tar' },
    { 'Content-Type': 'text/plain' },
    { 'Content-Type': 'text/ odd x' },
    JSON_TYPE,
    {},
  ] as Record<string, string>[]) {
    const chunked = { ...headers, 'Transfer-Encoding': 'chunked' };
    if (headers === JSON_TYPE) continue;
    assert.deepEqual(JSON.parse((await call('POST', '/images/load', body, chunked)).text), {
      bytes: body.length,
    });
  }
});

const HEAD = 'POST /v1.44/exec/one/start?a=b HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n';
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: tcp\r\n';
const FIRST_LINE = '{"Tty":false} 44 b\n';

test('hijack with an upgrade: body in pieces, early bytes, half-close', async () => {
  const answer = await raw([`${HEAD}${UPGRADE}Content-Length: 13\r\n\r\n{"Tty"`, ':false}early ', 'late ']);
  const [head = '', stream] = answer.split('\r\n\r\n');
  assert.equal(head.split('\r\n')[0], 'HTTP/1.1 101 UPGRADED');
  assert.match(head, /Content-Type: application\/vnd\.docker\.raw-stream/);
  assert.match(head, /Connection: Upgrade\r\nUpgrade: tcp/);
  assert.equal(stream, `${FIRST_LINE}early late bye\n`);
});

test('hijack with an upgrade and a chunked body', async () => {
  const answer = await raw([
    `${HEAD}${UPGRADE}Transfer-Encoding: chunked\r\n\r\n6\r\n{"Tty"\r\n`,
    '7\r\n:false}\r\n0\r\n\r\nearly ',
    'late ',
  ]);
  assert.equal(answer.split('\r\n\r\n')[1], `${FIRST_LINE}early late bye\n`);
});

test('hijack without an upgrade', async () => {
  const answer = await raw([`${HEAD}Content-Length: 13\r\n\r\n{"Tty":false}`, 'one ', 'two ']);
  const [head = '', stream] = answer.split('\r\n\r\n');
  assert.equal(head.split('\r\n')[0], 'HTTP/1.1 200 OK');
  assert.equal(stream, `${FIRST_LINE}one two bye\n`);
});

test('hijack without a body', async () => {
  const bare = 'POST /exec/one/start HTTP/1.1\r\nHost: d\r\n';
  assert.match(await raw([`${bare}${UPGRADE}\r\n`, 'x ']), /\r\n\r\nnull 51 \nx bye\n$/);
  assert.match(await raw([`${bare}\r\n`, 'x ']), /\r\n\r\nnull 51 \nx bye\n$/);
});

test('dockerode hijacks with its stdin, and without one reads an answer without an upgrade', async () => {
  const docker = new Docker({ socketPath });
  const read = async (stream: NodeJS.ReadableStream): Promise<string> => {
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    return text;
  };
  const both = await docker.getExec('one').start({ hijack: true, stdin: true, Tty: true });
  both.write('typed ');
  both.end();
  assert.match(await read(both), /^\{.*"Tty":true.*\} 51 \ntyped bye\n$/);
  assert.match(
    await read(await docker.getExec('brief').start({ Tty: false })),
    /^\{.*"Tty":false.*\} 51 \n$/,
  );
});

test('an error before the hijack is an ordinary answer, both ways', async () => {
  for (const headers of ['', UPGRADE]) {
    const answer = await raw([
      `POST /exec/missing/start HTTP/1.1\r\nHost: d\r\n${headers}Content-Length: 0\r\n\r\n`,
    ]);
    assert.match(answer, /^HTTP\/1\.1 409 Conflict\r\n/);
    assert.match(answer, /\{"message":"not now"\}/);
  }
});

test('an upgrade is no upgrade elsewhere', async () => {
  const answer = await raw([
    'GET /minor HTTP/1.1\r\nHost: d\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n',
  ]);
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
});

test('events: history, filters and an end in the past', async () => {
  bus.publish('container', 'create', 'c1', { name: 'web', image: 'x' });
  bus.publish('network', 'connect', 'n1', { name: 'bridge' });
  const filters = encodeURIComponent(JSON.stringify({ type: ['container'] }));
  const until = (Date.now() / 1000 + 0.2).toFixed(3);
  const later = setTimeout(() => bus.publish('container', 'start', 'c1', { name: 'web', image: 'x' }), 50);
  const { text } = await call('GET', `/events?since=0&until=${until}&filters=${filters}`);
  clearTimeout(later);
  const events = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { Action: string; id: string; timeNano: number });
  assert.deepEqual(
    events.map((event) => event.Action),
    ['create', 'start'],
  );
  assert.equal(events[0]?.id, 'c1');
  assert((events[0]?.timeNano ?? 0) < (events[1]?.timeNano ?? 0));
  assert.equal((await call('GET', '/events?until=1')).text, '');
  assert.deepEqual(JSON.parse((await call('GET', '/events?since=10&until=5')).text), {
    message: '`since` time (10) cannot be after `until` time (5)',
  });
  assert.equal(bus.listenerCount, 0);
});
