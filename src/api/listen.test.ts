import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pino } from 'pino';
import type { DaemonConfig } from '../engine/config.ts';
import { listen } from './listen.ts';
import { createApi } from './server.ts';

const directory = mkdtempSync(join(tmpdir(), 'gangway-listen-'));
const at = (name: string): string => join(directory, name);
const PORT = 20_000 + (process.pid % 10_000);
after(() => rmSync(directory, { recursive: true }));

/** A CA, and a certificate of it for `name`. */
before(() => {
  const openssl = (...args: string[]): void =>
    void execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-subj',
    '/CN=test ca',
    '-days',
    '1',
  );
  for (const [name, ext] of [
    ['server', 'subjectAltName=IP:127.0.0.1'],
    ['client', 'extendedKeyUsage=clientAuth'],
  ] as const) {
    writeFileSync(at(`${name}.ext`), ext);
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    const ca = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      ...ca,
      '-out',
      `${name}.pem`,
      '-extfile',
      `${name}.ext`,
      '-days',
      '1',
    );
  }
});

function config(hosts: readonly string[], verify?: boolean): DaemonConfig {
  const tls = { ca: at('ca.pem'), cert: at('server.pem'), key: at('server.key'), verify: verify === true };
  return {
    hosts,
    group: 'no-such-group',
    ...(verify === undefined ? {} : { tls }),
  } as unknown as DaemonConfig;
}

function app(): ReturnType<typeof createApi> {
  const made = createApi(pino({ level: 'silent' }));
  made.get('/_ping', async () => 'OK');
  return made;
}

function get(port: number, withCertificate: boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const client = withCertificate
      ? { cert: readFileSync(at('client.pem')), key: readFileSync(at('client.key')) }
      : {};
    const outgoing = request(
      { host: '127.0.0.1', port, path: '/_ping', ca: readFileSync(at('ca.pem')), agent: false, ...client },
      (incoming) => incoming.setEncoding('utf8').on('data', resolve),
    );
    outgoing.on('error', reject);
    outgoing.end();
  });
}

test('TLS that asks for client certificates, and TLS that does not', async () => {
  const strict = await listen(app(), config([`tcp://127.0.0.1:${PORT}`], true), pino({ level: 'silent' }));
  assert.equal(await get(PORT, true), 'OK');
  await assert.rejects(get(PORT, false));
  await strict.close(0);
  const open = await listen(app(), config([`tcp://127.0.0.1:${PORT}`], false), pino({ level: 'silent' }));
  assert.equal(await get(PORT, false), 'OK');
  await open.close(0);
});

test('plain TCP is allowed with a warning, as in dockerd', async () => {
  const warnings: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) });
  const listeners = await listen(app(), config([`tcp://127.0.0.1:${PORT}`, `unix://${at('a.sock')}`]), log);
  assert(warnings.some((line) => line.includes('every local user gets root')));
  await listeners.close(0);
  assert(!existsSync(at('a.sock')));
});

test('when one address is taken, the others are given back and the sentence names it', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(PORT, '127.0.0.1', () => resolve()));
  const both = config([`unix://${at('b.sock')}`, `tcp://127.0.0.1:${PORT}`]);
  await assert.rejects(listen(app(), both, pino({ level: 'silent' })), {
    name: 'ListenError',
    message: `failed to listen on tcp://127.0.0.1:${PORT}: listen EADDRINUSE: address already in use 127.0.0.1:${PORT}`,
  });
  assert(!existsSync(at('b.sock')));
  other.close();
});

test('a socket somebody listens on is not taken away; one left behind is', async () => {
  const quiet = pino({ level: 'silent' });
  const first = await listen(app(), config([`unix://${at('c.sock')}`]), quiet);
  await assert.rejects(listen(app(), config([`unix://${at('c.sock')}`]), quiet), {
    message: `failed to listen on unix://${at('c.sock')}: another process listens there`,
  });
  await first.close(0);
  writeFileSync(at('c.sock'), '');
  await (await listen(app(), config([`unix://${at('c.sock')}`]), quiet)).close(0);
});

test('certificates that are not there are named', async () => {
  const missing = config([`tcp://127.0.0.1:${PORT}`], true);
  const wrong = { ...missing, tls: { verify: true, cert: at('none.pem'), key: at('server.key') } };
  await assert.rejects(listen(app(), wrong, pino({ level: 'silent' })), /could not load .*none\.pem: ENOENT/);
});
