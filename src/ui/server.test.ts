import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { largeTopology, StandInDaemon } from '../../test/e2e/stand-in-daemon.ts';
import { ApiClient } from '../cli/api-client.ts';
import { Feed } from './feed.ts';
import type { LiveMessages } from './messages.ts';
import { type PageServer, servePage } from './server.ts';

const directory = mkdtempSync(join(tmpdir(), 'gangway-ui-'));
const socketPath = join(directory, 'docker.sock');
let daemon: StandInDaemon;
let feed: Feed;
let server: PageServer;
let cookie: string;

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function ask(path: string, headers: OutgoingHttpHeaders = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: '127.0.0.1',
        port: server.port,
        path,
        method,
        headers: { host: `127.0.0.1:${server.port}`, ...headers },
      },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        );
        response.on('error', reject);
      },
    );
    call.on('error', reject);
    call.end();
  });
}

const tokenOf = (link: string): string => link.slice(link.indexOf('/?token='));
const opened = async (): Promise<string> => {
  const { status, headers } = await ask(tokenOf(server.link()));
  assert.equal(status, 200);
  return String(headers['set-cookie']).split(';')[0] ?? '';
};

before(async () => {
  daemon = await StandInDaemon.listen(socketPath, largeTopology(12, 4));
  daemon.rate = () => [1000, 3000];
  const link = new ApiClient({ host: `unix://${socketPath}`, tls: undefined });
  feed = new Feed(link);
  server = await servePage(link, feed, 0);
  feed.start();
  cookie = await opened();
});
after(async () => {
  feed.close();
  await server.close();
  await daemon.close();
  rmSync(directory, { recursive: true });
});

const PATHS = [
  '/',
  '/web/main.ts',
  '/gangway/topology',
  '/gangway/why?from=a&to=b',
  '/history?link=up0',
  '/live',
  '/nothing',
];

test('without the cookie nothing, not even what there is', async () => {
  for (const path of PATHS) {
    for (const headers of [
      {},
      { cookie: `gangway-${server.port}=AAAA` },
      { cookie: `other=${cookie.split('=')[1]}` },
    ]) {
      const { status, body } = await ask(path, headers);
      assert.equal(status, 401, path);
      assert.match(body, /has not opened the link/);
    }
  }
});

test('a token opens once, and gives a cookie that scripts and other sites do not see', async () => {
  const path = tokenOf(server.link());
  const first = await ask(path);
  assert.equal(first.status, 200);
  assert.match(
    String(first.headers['set-cookie']),
    /^gangway-\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/,
  );
  assert.equal((await ask(path)).status, 401, 'the second time');
  assert.equal((await ask('/?token=')).status, 401);
  assert.equal((await ask(`${tokenOf(server.link())}x`)).status, 401);
  assert.equal((await ask('/', { cookie: String(first.headers['set-cookie']).split(';')[0] })).status, 200);
});

test('another name for this address is refused, with the cookie and with a token (DNS rebinding)', async () => {
  const port = server.port;
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    '127.0.0.1',
    `127.0.0.1:${port + 1}`,
    `[::1]:${port}`,
  ]) {
    assert.equal((await ask('/', { host, cookie })).status, 403, host);
    assert.equal((await ask(tokenOf(server.link()), { host })).status, 403, host);
  }
  assert.equal((await ask('/', { host: `localhost:${port}`, cookie })).status, 200);
});

test('other sites are refused by what the browser says of them', async () => {
  const own = `http://127.0.0.1:${server.port}`;
  const refused: OutgoingHttpHeaders[] = [
    { origin: 'http://evil.example' },
    { origin: 'null' },
    { origin: `http://127.0.0.1:${server.port + 1}` },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
  ];
  for (const headers of refused) {
    const { status, headers: answer } = await ask('/gangway/topology', { ...headers, cookie });
    assert.equal(status, 403, JSON.stringify(headers));
    assert.equal(answer['access-control-allow-origin'], undefined);
  }
  const allowed: OutgoingHttpHeaders[] = [
    { origin: own, 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none' },
  ];
  for (const headers of allowed) {
    assert.equal(
      (await ask('/gangway/topology', { ...headers, cookie })).status,
      200,
      JSON.stringify(headers),
    );
  }
  const link = tokenOf(server.link());
  const navigated = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
  assert.equal((await ask(link, navigated)).status, 200, 'a link in a web console');
  assert.equal(
    (await ask(tokenOf(server.link()), { ...navigated, 'sec-fetch-mode': 'no-cors' })).status,
    403,
  );
});

test('nothing can be changed, and nothing else of the daemon be read', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    assert.equal((await ask('/gangway/topology', { cookie }, method)).status, 405, method);
  }
  for (const path of [
    '/containers/json',
    '/gangway/ways/web',
    '/gangway/../containers/json',
    '/web/../package.json',
    '/web/%2e%2e%2fpackage.json',
  ]) {
    assert.equal((await ask(path, { cookie })).status, 404, path);
  }
  assert.deepEqual(
    daemon.asked.filter((path) => !/^\/gangway\/(topology(\?counters=1)?|watch\?drops=1|why.*)$/.test(path)),
    [],
  );
});

test('the page and what it loads carry a policy that lets in nothing foreign', async () => {
  for (const path of ['/', '/web/main.ts', '/web/style.css']) {
    const { status, headers } = await ask(path, { cookie });
    assert.equal(status, 200);
    assert.match(
      String(headers['content-security-policy']),
      /^default-src 'self'; .*frame-ancestors 'none'$/,
    );
    assert.equal(headers['x-content-type-options'], 'nosniff');
  }
  assert.match((await ask('/favicon.ico', { cookie })).body, /<svg/);
  const { body, headers } = await ask('/web/layout.ts', { cookie });
  assert.match(String(headers['content-type']), /^text\/javascript/);
  assert.doesNotMatch(body, /interface |: Model/, 'without its types');
  assert.equal((await ask('/web/layout.ts', { cookie, 'if-none-match': headers.etag })).status, 304);
  assert.equal((await ask('/web/layout.test.ts', { cookie })).status, 404);
});

test('a question is asked without a packet, and the daemon answers with its own status', async () => {
  daemon.why = (query) => ({
    status: query.get('from') === 'nobody' ? 404 : 200,
    body: Object.fromEntries(query),
  });
  const { body } = await ask('/gangway/why?from=a&to=b:80&probe=1&more=x', { cookie });
  assert.deepEqual(JSON.parse(body), { from: 'a', to: 'b:80', probe: '0' });
  assert.equal((await ask('/gangway/why?from=nobody&to=b', { cookie })).status, 404);
  assert.equal((await ask('/gangway/doctor', { cookie })).status, 404);
});

test('the stream: topology, rates in bytes a second, drops as they come, and a daemon that goes away', async () => {
  const got: { [K in keyof LiveMessages]?: LiveMessages[K] } = {};
  daemon.asked.length = 0;
  const call = request({
    host: '127.0.0.1',
    port: server.port,
    path: '/live',
    headers: { host: `127.0.0.1:${server.port}`, cookie },
  });
  call.on('error', () => {});
  let rest = '';
  call.on('response', (response) => {
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      const messages = (rest + chunk).split('\n\n');
      rest = messages.pop() ?? '';
      for (const message of messages) {
        const [, name = '', data = ''] = /^event: (\w+)\ndata: (.*)$/s.exec(message) ?? [];
        Object.assign(got, { [name]: JSON.parse(data) });
      }
    });
  });
  call.end();
  const until = async (what: string, done: () => boolean): Promise<void> => {
    const end = Date.now() + 15_000;
    while (!done()) {
      if (Date.now() > end) throw new Error(`in vain for ${what}: ${JSON.stringify(got).slice(0, 500)}`);
      await sleep(50);
    }
  };
  try {
    await until('rates', () => Object.keys(got.rates?.links ?? {}).length > 3);
    assert.equal(got.topology?.containers.length, 12);
    const [received, sent] = got.rates?.links.up0 ?? [0, 0];
    assert.ok(received > 900 && received < 1100 && sent > 2700 && sent < 3300, `${received} ${sent}`);
    daemon.tell({
      time: 1,
      kind: 'drop',
      protocol: 'tcp',
      from: { address: '10.0.0.2' },
      to: { address: '10.1.0.2', port: 80 },
      cause: 'no-common-network',
    });
    await until('the drop', () => got.drops?.[0]?.cause === 'no-common-network');
    daemon.topology = { ...daemon.topology, revision: 'other', containers: [] };
    await until('the new topology', () => got.topology?.revision === 'other');
    assert.equal(
      daemon.asked.filter((path) => path === '/gangway/topology').length,
      1,
      'whole only when it changed',
    );
    await daemon.close();
    await until('the daemon to be away', () => got.daemon?.state === 'away');
    assert.match(got.daemon?.reason ?? '', /no daemon answers at .*docker\.sock/);
    daemon = await StandInDaemon.listen(socketPath, largeTopology(3, 1));
    await until(
      'the daemon to be back',
      () => got.daemon?.state === 'up' && got.topology?.containers.length === 3,
    );
  } finally {
    call.destroy();
  }
});
