import type { Machine } from './machine.ts';
import { must, until } from './process.ts';

/** Containers on overlay networks, on the hosts of a cluster. */

/** Of `docker inspect`, what a container has on a network. */
export const shown = (machine: Machine, name: string, field: string, network = 'lamp'): Promise<string> =>
  machine.dockerOk('inspect', '-f', `{{(index .NetworkSettings.Networks "${network}").${field}}}`, name);
export const ipv6Address = (machine: Machine, name: string, network?: string): Promise<string> =>
  shown(machine, name, 'GlobalIPv6Address', network);
export const ask = async (machine: Machine, from: string, to: string, port = 80): Promise<string> =>
  (await machine.ask(await machine.containerPid(from), [{ protocol: 'tcp', address: to, port }])).join();
export const inside = async (machine: Machine, name: string): Promise<string[]> => [
  ...['nsenter', '-t', String(await machine.containerPid(name)), '-n'],
];
export const reaches = (machine: Machine, from: string, to: string, words: RegExp): Promise<true> =>
  until(`${from} to reach ${to}`, async () =>
    words.test(await ask(machine, from, to)) ? (true as const) : undefined,
  );

/** A container that answers at port 80. */
export async function start(machine: Machine, name: string, ...options: string[]): Promise<void> {
  await machine.dockerOk(
    'run',
    '-d',
    '--name',
    name,
    '--dns-search',
    '.',
    ...options,
    'busybox',
    'sleep',
    '1000',
  );
  await machine.serve(await machine.containerPid(name), name, [
    { protocol: 'tcp', port: 80 },
    { protocol: 'udp', port: 80 },
  ]);
}

/** How many bytes arrive of 20,000,000 that one container sends another. */
export async function transfer(
  from: Machine,
  server: string,
  to: Machine,
  client: string,
  port: number,
): Promise<string> {
  const serving = `require('node:net').createServer((s) => s.end(Buffer.alloc(20000000, 7)))
    .listen(${port}, '::', () => console.log('SERVING'))`;
  await from.spawnHelper([...(await inside(from, server)), process.execPath, '-e', serving], 'SERVING');
  const asking = `let n = 0; require('node:net').connect(${port}, '${await ipv6Address(from, server)}')
    .on('data', (d) => { n += d.length; }).on('close', () => console.log(n))`;
  return must([...(await inside(to, client)), process.execPath, '-e', asking]);
}
