import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { chooseEngine, DEFAULT_HOST } from './docker-context.ts';

const directory = mkdtempSync(join(tmpdir(), 'gangway-context-'));
after(() => rmSync(directory, { recursive: true }));

function context(name: string, endpoint: object): string {
  const digest = createHash('sha256').update(name).digest('hex');
  const meta = join(directory, 'contexts/meta', digest);
  mkdirSync(meta, { recursive: true });
  writeFileSync(join(meta, 'meta.json'), JSON.stringify({ Name: name, Endpoints: { docker: endpoint } }));
  return digest;
}

const choose = (given: { host?: string; context?: string; env?: Record<string, string>; plugin?: boolean }) =>
  chooseEngine({
    host: given.host,
    context: given.context,
    env: { DOCKER_CONFIG: directory, ...given.env },
    plugin: given.plugin ?? false,
  });

test('-H before --context before DOCKER_HOST before DOCKER_CONTEXT before the one in use', () => {
  context('here', { Host: 'unix:///here.sock' });
  context('there', { Host: 'tcp://there:2375' });
  assert.equal(choose({}).host, DEFAULT_HOST);
  assert.equal(choose({ plugin: true }).host, 'unix:///var/run/docker.sock', "docker's own default");
  writeFileSync(join(directory, 'config.json'), '{"currentContext": "here"}');
  assert.equal(choose({}).host, 'unix:///here.sock');
  const all = { DOCKER_CONTEXT: 'there', DOCKER_HOST: 'unix:///env.sock' };
  assert.equal(choose({ env: { DOCKER_CONTEXT: 'there' } }).host, 'tcp://there:2375');
  assert.equal(choose({ env: all }).host, 'unix:///env.sock');
  assert.equal(choose({ env: all, context: 'here' }).host, 'unix:///here.sock');
  assert.equal(choose({ env: all, context: 'here', host: 'unix:///h' }).host, 'unix:///h');
});

test('TLS files of a context, and of the environment', () => {
  const digest = context('safe', { Host: 'tcp://safe:2376', SkipTLSVerify: true });
  const files = join(directory, 'contexts/tls', digest, 'docker');
  mkdirSync(files, { recursive: true });
  writeFileSync(join(files, 'ca.pem'), '');
  assert.deepEqual(choose({ context: 'safe' }).tls, {
    ca: join(files, 'ca.pem'),
    cert: join(files, 'cert.pem'),
    key: join(files, 'key.pem'),
    verify: false,
  });
  assert.equal(choose({ host: 'tcp://x:2375' }).tls, undefined);
  const env = { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: files };
  assert.equal(choose({ host: 'tcp://x:2376', env }).tls?.verify, true);
});

test('what is not there or cannot be read is named', () => {
  assert.throws(() => choose({ context: 'nowhere' }), /there is no docker context "nowhere"/);
  writeFileSync(join(directory, 'config.json'), '{');
  assert.throws(() => choose({}), /config\.json cannot be read/);
});
