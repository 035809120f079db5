import { setTimeout as sleep } from 'node:timers/promises';
import { CHECKOUT } from '../test/e2e/engine-under-test.ts';
import { Machine } from '../test/e2e/machine.ts';
import { HOST } from '../test/e2e/namespaces.ts';
import { must, processorSeconds } from '../test/e2e/process.ts';
import { median } from './median.ts';

/**
 * `node bench/watching.ts [RATE…]`: what `gangway watch` costs the daemon, in percent of a core, at so many new TCP
 * connections a second: for a published port, and within a network (where connection tracking and the bridge both see
 * them, and where the bridge alone does). PROFILE=DIRECTORY has Node leave a profile of the daemon there.
 */
const RATES = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [300, 1000];
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const SECONDS = 10;
const LOAD = `${CHECKOUT}bench/load.ts`;

const { PROFILE } = process.env;
if (PROFILE !== undefined) process.env.NODE_OPTIONS = `--cpu-prof --cpu-prof-dir=${PROFILE}`;
const machine = await Machine.start();
delete process.env.NODE_OPTIONS;
try {
  await machine.dockerOk('network', 'create', 'lamp');
  await machine.dockerOk('pull', '-q', 'busybox');
  for (const [name, ...flags] of [['web', '-p', '8080:80'], ['client']]) {
    await machine.dockerOk(
      'run',
      '-d',
      '--name',
      `${name}`,
      '--network',
      'lamp',
      ...flags,
      'busybox',
      'sleep',
      '10000',
    );
  }
  const web = await machine.containerPid('web');
  const client = await machine.containerPid('client');
  await machine.spawnHelper(inside(web, ['serve', '80']), 'SERVING');
  const address = await machine.dockerOk(
    'inspect',
    '-f',
    '{{.NetworkSettings.Networks.lamp.IPAddress}}',
    'web',
  );
  const outside = machine.namespaces.outside;
  const shown = (value: number) =>
    must(machine.inMachine(['sysctl', '-q', `net.bridge.bridge-nf-call-iptables=${value}`]));
  await sleep(5000);
  for (const rate of RATES) {
    await measure('published port', rate, outside, HOST, 8080);
    await shown(1);
    await measure('within a network, tracked too', rate, client, address, 80);
    await shown(0);
    await measure('within a network, at the bridge', rate, client, address, 80);
    await shown(1);
  }
} finally {
  await machine.close();
}

function inside(pid: number, args: readonly string[]): string[] {
  return ['nsenter', '-t', String(pid), '-n', process.execPath, LOAD, ...args];
}

async function measure(what: string, rate: number, pid: number, host: string, port: number): Promise<void> {
  const command = inside(pid, ['paced', host, String(port), String(SECONDS), String(rate)]);
  const load = async (): Promise<readonly [percent: number, answered: number]> => {
    const [before, began] = [processorSeconds(machine.daemonPid), performance.now()];
    const answered = Number(await must(command, { timeout: 60 }));
    const spent = processorSeconds(machine.daemonPid) - before;
    return [(spent / ((performance.now() - began) / 1000)) * 100, answered];
  };
  const [unwatched] = await load();
  const watching = await machine.spawnHelper(
    [
      'sh',
      '-c',
      'echo UP; exec "$@"',
      'sh',
      process.execPath,
      `${CHECKOUT}bin/gangway.ts`,
      '-H',
      `unix://${machine.socket}`,
      'watch',
      '--json',
    ],
    'UP',
  );
  let told = 0;
  watching.stdout?.on('data', (chunk: Buffer) => {
    for (const byte of chunk) if (byte === 10) told++;
  });
  await sleep(2000);
  const costs: number[] = [];
  for (let n = 0; n < ROUNDS; n++) {
    const before = told;
    const [percent, answered] = await load();
    costs.push(percent - unwatched);
    await sleep(500);
    console.log(
      `  ${answered}/s answered, ${((told - before) / SECONDS).toFixed(0)} events/s: ${percent.toFixed(1)} %`,
    );
  }
  watching.kill('SIGTERM');
  console.log(`${rate}/s, ${what}: ${median(costs).toFixed(1)} % of a core for observing`);
  await sleep(1000);
}
