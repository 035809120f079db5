import { setTimeout as sleep } from 'node:timers/promises';
import { Machine } from '../test/e2e/machine.ts';
import { serveUi } from '../test/e2e/page.ts';
import { must, processorSeconds, run } from '../test/e2e/process.ts';
import { median } from './median.ts';

/** `node bench/observing.ts [CONTAINERS]`: what the daemon spends on being looked at, in percent of a core. */
const CONTAINERS = Number(process.argv[2] ?? 50);
const NETWORKS = 4;
const AT_ONCE = 10;
const SECONDS = 30;

const machine = await Machine.start();
try {
  for (let n = 0; n < NETWORKS; n++) await machine.dockerOk('network', 'create', `net${n}`);
  await machine.dockerOk('pull', '-q', 'busybox');
  const start = async (n: number): Promise<void> => {
    const published = n % 5 === 0 ? ['-p', `${9000 + n}:80`] : [];
    const network = ['--net', `net${n % NETWORKS}`];
    await machine.dockerOk(
      'run',
      '-d',
      '--name',
      `s${n}`,
      ...network,
      ...published,
      'busybox',
      'sleep',
      '10000',
    );
  };
  for (let n = 0; n < CONTAINERS; n += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, CONTAINERS - n) }, (_, i) => start(n + i));
    await Promise.all(some);
  }
  await sleep(10_000);
  await measure('nobody looks');
  const ui = await serveUi(machine);
  await measure('gangway ui keeps the history');
  const jar = `${machine.directory}/cookies`;
  await must(machine.inMachine(['curl', '-s', '-c', jar, ui.link]));
  const live = `http://127.0.0.1:${ui.port}/live`;
  const reading = run(
    machine.inMachine(['curl', '-s', '-N', '-m', String(SECONDS + 5), '-b', jar, '-o', '/dev/null', live]),
  );
  await sleep(2000);
  await measure('a page is open');
  await reading;
  ui.process.kill();
  const times: number[] = [];
  for (let n = 0; n < 50; n++) {
    const before = performance.now();
    await machine.api('GET', '/gangway/topology?counters=1');
    times.push(performance.now() - before);
  }
  console.log(`one answer with all counters: ${median(times).toFixed(1)} ms`);
} finally {
  await machine.close();
}

async function measure(what: string): Promise<void> {
  const [before, began] = [processorSeconds(machine.daemonPid), performance.now()];
  await sleep(SECONDS * 1000);
  const spent = processorSeconds(machine.daemonPid) - before;
  const share = spent / ((performance.now() - began) / 1000);
  console.log(`${CONTAINERS} containers, ${what}: ${(share * 100).toFixed(1)} % of a core`);
}
