import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { after, before, test } from 'node:test';
import { Cluster } from './cluster.ts';
import { CHECKOUT } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { type Result, run, sleep } from './process.ts';
import { type Exchange, exchanges, Likeness, withOutputs } from './tutorial.ts';

/** `UPDATE_TUTORIAL=1` writes what is printed now into both pages; look at the difference before it is committed. */
const UPDATE = process.env.UPDATE_TUTORIAL === '1';
const ENGLISH = `${CHECKOUT}docs/tutorial.md`;
const CHINESE = `${CHECKOUT}docs/tutorial.zh.md`;
/** How long a command that changes nothing may take to print what it should. */
const PATIENCE_MS = 15_000;

const page = readFileSync(ENGLISH, 'utf8');
let machine: Machine;
let cluster: Cluster;

before(async () => {
  machine = await Machine.start({ prepare: withoutBridgeFirewall });
  cluster = await Cluster.start(2);
  for (const each of cluster.hosts) {
    await each.stopDaemon();
    await withoutBridgeFirewall(each);
    await each.startDaemon();
  }
  for (const each of [machine, ...cluster.hosts]) {
    mkdirSync(`${each.directory}/bin`);
    const command = `#!/bin/sh\nexec ${CHECKOUT}bin/gangway -H unix://${each.socket} "$@"\n`;
    writeFileSync(`${each.directory}/bin/gangway`, command, { mode: 0o755 });
  }
  for (const each of cluster.hosts) await each.dockerOk('pull', '-q', 'busybox');
});
after(async () => {
  await cluster?.close();
  await machine?.close();
});

/** As it is where br_netfilter is not loaded: with it there are more hops to tell. */
async function withoutBridgeFirewall(host: Machine): Promise<void> {
  for (const family of ['iptables', 'ip6tables', 'arptables']) {
    await host.host(['sysctl', '-q', `net.bridge.bridge-nf-call-${family}=0`]);
  }
}

/** As somebody at that prompt would run it, both outputs together. */
function typed({ where, command }: Exchange): Promise<Result> {
  const shell = ['sh', '-c', `exec 2>&1\n${command}`];
  if (where === 'outside') return run(machine.inOutside(shell), { timeout: 60 });
  const [one, two] = cluster.hosts;
  const host = { '': machine, one, two }[where];
  if (host === undefined) throw new Error(`nobody has the prompt ${where}$`);
  const environment = [
    'env',
    `DOCKER_HOST=unix://${host.socket}`,
    `PATH=${host.directory}/bin:${process.env.PATH}`,
  ];
  return host.host([...environment, ...shell], { timeout: 60 });
}

/** Whether it may be run again when it did not print what it should, because something is not there yet. */
const asks = ({ command }: Exchange): boolean =>
  !/^docker (?:run|rm|network (?:create|rm|connect))\b/.test(command);

/** What hosts are called on the page. */
const NAME = 'vm';

const lines = ({ stdout }: Result): readonly string[] =>
  stdout
    .replaceAll(new RegExp(`\\b${hostname().replaceAll('.', '\\.')}\\b`, 'g'), NAME)
    .replace(/\n+$/, '')
    .split('\n');

test('every command of docs/tutorial.md prints what is written there', { timeout: 300_000 }, async (t) => {
  const like = new Likeness();
  const outputs: (readonly string[])[] = [];
  for (const exchange of exchanges(page)) {
    if (UPDATE) {
      if (asks(exchange)) await sleep(1000);
      const printed = lines(await typed(exchange));
      outputs.push(printed.join() === '' ? [] : printed.map((line) => line.trimEnd()));
      continue;
    }
    await t.test(`${exchange.where}$ ${exchange.command}`, async () => {
      const end = Date.now() + PATIENCE_MS;
      const wanted = exchange.output.length === 0 ? [''] : exchange.output;
      for (;;) {
        const printed = lines(await typed(exchange));
        const fault = like.differs(wanted, printed);
        if (fault === undefined) return;
        if (!asks(exchange) || Date.now() > end) assert.fail(`${fault}\n${printed.join('\n')}`);
        await sleep(200);
      }
    });
  }
  if (!UPDATE) return;
  for (const file of [ENGLISH, CHINESE])
    writeFileSync(file, withOutputs(readFileSync(file, 'utf8'), outputs));
});

test('the Chinese page has the same commands with the same outputs', () => {
  assert.deepEqual(exchanges(readFileSync(CHINESE, 'utf8')), exchanges(readFileSync(ENGLISH, 'utf8')));
});
