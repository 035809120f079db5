import type { Contestant } from './contestant.ts';
import { milliseconds } from './figures.ts';

/** Milliseconds of `network create` and `network rm`, as the API takes them. */
export const createRemove = ({ api }: Contestant): Promise<number> =>
  milliseconds(async () => {
    await api.call('POST', '/networks/create', { Name: 'bench-made', Driver: 'bridge' });
    await api.call('DELETE', '/networks/bench-made');
  });

/** A running container and a network it is not on; what is measured is connecting and disconnecting it. */
export async function startConnecting(engine: Contestant): Promise<{
  readonly connectDisconnect: () => Promise<number>;
  readonly end: () => Promise<void>;
}> {
  const { api } = engine;
  await api.call('POST', '/networks/create', { Name: 'bench-joined', Driver: 'bridge' });
  await engine.dockerOk('run', '-d', '--name', 'joiner', 'busybox', 'sleep', '10000');
  return {
    connectDisconnect: () =>
      milliseconds(async () => {
        await api.call('POST', '/networks/bench-joined/connect', { Container: 'joiner' });
        await api.call('POST', '/networks/bench-joined/disconnect', { Container: 'joiner' });
      }),
    end: async () => {
      await engine.dockerOk('rm', '-f', 'joiner');
      await api.call('DELETE', '/networks/bench-joined');
    },
  };
}
