import { mkdtempSync, rmSync } from 'node:fs';
import { must } from '../test/e2e/process.ts';
import { CHECKOUT, type Contestant } from './contestant.ts';

/** Queries under way at once. */
const IN_FLIGHT = 64;

export interface Latency {
  /** Microseconds. */
  readonly median: number;
  readonly p99: number;
  readonly lost: number;
}

/** Two containers on a network of the user's; from the namespace of one the name of the other is asked for. */
export async function startNames(engine: Contestant): Promise<{
  readonly rate: (seconds: number) => Promise<number>;
  readonly latency: (seconds: number, perSecond: number) => Promise<Latency>;
  readonly end: () => Promise<void>;
}> {
  const folder = mkdtempSync('/tmp/gangway-bench-');
  await must(['cc', '-O2', '-o', `${folder}/dns-load`, `${CHECKOUT}bench/dns-load.c`]);
  await engine.api.call('POST', '/networks/create', { Name: 'bench-names', Driver: 'bridge' });
  for (const name of ['asker', 'asked']) {
    const options = ['-d', '--name', name, '--network', 'bench-names'];
    await engine.dockerOk('run', ...options, 'busybox', 'sleep', '10000');
  }
  const pid = Number(await engine.dockerOk('inspect', '-f', '{{.State.Pid}}', 'asker'));
  const conf = await engine.dockerOk('exec', 'asker', 'cat', '/etc/resolv.conf');
  const server = /^nameserver (\S+)/m.exec(conf)?.[1] ?? '127.0.0.11';
  const load = (...args: (string | number)[]): Promise<string> =>
    must([...engine.inside(pid), `${folder}/dns-load`, server, 'asked', ...args.map(String)]);
  return {
    rate: async (seconds) => Number(await load('rate', seconds, IN_FLIGHT)),
    latency: async (seconds, perSecond) =>
      JSON.parse(await load('latency', seconds, Math.max(1, Math.round(perSecond)))) as Latency,
    end: async () => {
      await engine.dockerOk('rm', '-f', 'asker', 'asked');
      await engine.api.call('DELETE', '/networks/bench-names');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
