import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Answer } from '../../src/explain/answer.ts';
import { Machine } from './machine.ts';
import { HOST, OUTSIDE } from './namespaces.ts';

/** The live packet that stands beside the model's verdict. */
let machine: Machine;
before(async () => {
  machine = await Machine.start();
  for (const network of ['lamp', 'lnmp']) await machine.dockerOk('network', 'create', network);
  for (const [name, network, ...flags] of [
    ['web', 'lamp', '-p', '8080:80'],
    ['client', 'lamp'],
    ['db', 'lnmp'],
  ] as const) {
    await machine.dockerOk(
      ...['run', '-d', '--name', name, '--network', network, ...flags, 'busybox', 'sleep', '1000'],
    );
    const protocols = ['tcp', 'udp'] as const;
    await machine.serve(
      await machine.containerPid(name),
      name,
      protocols.map((protocol) => ({ protocol, port: 80 })),
    );
  }
});
after(() => machine.close());

async function why(from: string, to: string, more: Record<string, string> = {}): Promise<Answer> {
  const answer = await machine.api('GET', `/gangway/why?${new URLSearchParams({ from, to, ...more })}`);
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body) as Answer;
}
const tables = async (): Promise<string> => (await machine.host(['nft', 'list', 'tables'])).stdout;

test('what works is answered, by the model and by a packet, and nothing stays behind', async () => {
  const before = await tables();
  for (const [from, to] of [
    ['client', 'web:80'],
    ['client', 'web:80/udp'],
    ['client', 'web'],
    ['client', `${HOST}:8080`],
    ['web', `${HOST}:8080`],
    ['host', 'web:80'],
    ['host', '127.0.0.1:8080'],
    ['outside', 'web:80'],
    ['client', OUTSIDE],
  ] as const) {
    const answer = await why(from, to);
    const told = `${from} ${to}: ${JSON.stringify(answer)}`;
    assert.deepEqual([answer.reachable, answer.probe?.reachable, answer.agrees], [true, true, true], told);
  }
  assert.equal(await tables(), before);
});

test('what does not work is told alike, with the rule or the refusal', async () => {
  for (const [from, to, cause, rule] of [
    ['client', 'web:81', 'nothing-listens', undefined],
    ['client', await addressOf('db'), 'no-common-network', /^(isolation|direct-access)$/],
    ['outside', await addressOf('web'), 'unpublished', /^direct-access$/],
  ] as const) {
    const answer = await why(from, to);
    const told = `${from} ${to}: ${JSON.stringify(answer)}`;
    assert.deepEqual([answer.reachable, answer.probe?.reachable, answer.agrees], [false, false, true], told);
    assert.equal(answer.probe?.cause, cause, told);
    if (rule !== undefined)
      assert.match(answer.probe?.steps.find(({ kind }) => kind === 'drop')?.rule ?? '', rule, told);
  }
});

test('a rule of somebody else is named by the packet that met it', async () => {
  const rules =
    'table inet theirs { chain forwards { type filter hook forward priority 5; tcp dport 80 counter drop; }; }';
  assert.equal((await machine.host(['nft', rules])).status, 0);
  const answer = await why('outside', 'web:80');
  assert.equal(answer.probe?.cause, 'foreign-rule');
  assert.match(
    answer.probe?.steps.find(({ kind }) => kind === 'drop')?.rule ?? '',
    /^inet theirs forwards: tcp dport 80 counter .*drop$/,
  );
  assert.equal(answer.agrees, true);
  await machine.host(['nft', 'delete', 'table', 'inet', 'theirs']);
});

test('who watches does not change the answers; who wants no packet gets none', async () => {
  const command = ['curl', '-sN', '--unix-socket', machine.socket, 'http://localhost/gangway/watch'];
  const watching = await machine.spawnHelper(['sh', '-c', 'echo OK; exec "$@"', 'sh', ...command], 'OK');
  while (!(await tables()).includes('gangway_watch')) await new Promise((resolve) => setTimeout(resolve, 50));
  const answer = await why('client', 'web:80');
  assert.deepEqual([answer.reachable, answer.agrees], [true, true], JSON.stringify(answer));
  watching.kill();
  const without = await why('client', 'web:80', { probe: '0' });
  assert.deepEqual([without.reachable, without.probe, without.agrees], [true, null, null]);
});

const addressOf = (name: string): Promise<string> =>
  machine.dockerOk('inspect', '-f', '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}:80', name);
