import { mkdtempSync, rmSync } from 'node:fs';
import { background, must } from '../test/e2e/process.ts';
import { CHECKOUT, type Contestant } from './contestant.ts';

/** Queries under way at once. */
const IN_FLIGHT = 64;
const BARE = '127.0.0.12';

export interface Latency {
  /** Microseconds. */
  readonly median: number;
  readonly p99: number;
  readonly lost: number;
}

/** Two containers on a network of the user's; from the namespace of one the name of the other is asked for. */
export async function startNames(engine: Contestant): Promise<{
  readonly rate: (seconds: number) => Promise<number>;
  /** @param bare of an echo in the same namespace: what this machine makes of no work at all */
  readonly latency: (seconds: number, perSecond: number, bare: boolean) => Promise<Latency>;
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
  const program = [...engine.inside(pid), `${folder}/dns-load`];
  const load = (at: string, ...args: (string | number)[]): Promise<string> =>
    must([...program, at, 'asked', ...args.map(String)]);
  const echo = await background([...program, BARE, 'asked', 'serve'], 'SERVING');
  return {
    rate: async (seconds) => Number(await load(server, 'rate', seconds, IN_FLIGHT)),
    latency: async (seconds, perSecond, bare) =>
      JSON.parse(await load(bare ? BARE : server, 'latency', seconds, Math.round(perSecond))) as Latency,
    end: async () => {
      echo.kill('SIGKILL');
      await engine.dockerOk('rm', '-f', 'asker', 'asked');
      await engine.api.call('DELETE', '/networks/bench-names');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
