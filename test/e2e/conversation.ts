/**
 * Traffic that never rests, as a program to be run inside any network namespace (nsenter … node conversation.ts …), and
 * its counts while something is being broken.
 *   answer PORT             echoes TCP and UDP
 *   talk ADDRESS PORT NAME  one TCP connection that stays, a new one and a question for NAME to 127.0.0.11 five times a
 *                           second, fifty datagrams a second; prints its counts, a JSON line every 100 ms
 */
import type { ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { connect, createServer } from 'node:net';
import { CHECKOUT } from './engine-under-test.ts';
import type { Machine } from './machine.ts';
import { sleep } from './process.ts';

export interface Counts {
  readonly datagrams: number;
  readonly datagramsLost: number;
  /** Requests on the one connection, and how often it broke. */
  readonly requests: number;
  readonly breaks: number;
  readonly connections: number;
  readonly connectionsLost: number;
  readonly names: number;
  readonly namesLost: number;
}

/** Milliseconds after which something counts as lost; a TCP retransmission takes 200 at the least. */
const PATIENCE = 1000;
const PORT = 7777;

/** A container that talks to another all the time. */
export class Conversation {
  #latest: Counts | undefined;

  private constructor(child: ChildProcess) {
    let rest = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      const last = lines.findLast((line) => line.startsWith('{'));
      if (last !== undefined) this.#latest = JSON.parse(last) as Counts;
    });
  }

  /** @param to a container and its address @param name what is asked of the embedded DNS all the time */
  static async start(
    from: { readonly machine: Machine; readonly container: string },
    to: { readonly machine: Machine; readonly container: string; readonly address: string },
    name: string,
  ): Promise<Conversation> {
    const inside = async ({ machine, container }: typeof from, ...args: string[]) =>
      machine.spawnHelper(
        [
          ...['nsenter', '-t', String(await machine.containerPid(container)), '-n', process.execPath],
          ...[`${CHECKOUT}test/e2e/conversation.ts`, ...args],
        ],
        'TALKING',
      );
    await inside(to, 'answer', String(PORT));
    return new Conversation(await inside(from, 'talk', to.address, String(PORT), name));
  }

  /** What was sent while `body` ran, and what of it was lost. */
  async during<T>(body: () => Promise<T>): Promise<{ readonly result: T; readonly counts: Counts }> {
    const before = await this.#counts();
    const result = await body();
    const after = await this.#counts();
    const difference = Object.entries(after).map(([key, value]) => [
      key,
      (value as number) - before[key as keyof Counts],
    ]);
    return { result, counts: Object.fromEntries(difference) as Counts };
  }

  /** When all that was sent until now has been judged. */
  async #counts(): Promise<Counts> {
    await sleep(PATIENCE + 200);
    if (this.#latest === undefined) throw new Error('nobody talks');
    return this.#latest;
  }
}

/** What came of something, at the latest when it counts as lost. */
async function intime(attempt: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), PATIENCE);
  });
  const made = attempt.then(
    () => true,
    () => false,
  );
  const outcome = await Promise.race([made, late]);
  clearTimeout(timer);
  return outcome;
}

function answer(port: number): void {
  createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(port, '0.0.0.0', () => {
    const udp = createSocket('udp4');
    udp.on('message', (text, from) => udp.send(text, from.port, from.address));
    udp.bind(port, () => console.log('TALKING'));
  });
}

function talk(address: string, port: number, name: string): void {
  const counts = {
    ...{ datagrams: 0, datagramsLost: 0, requests: 0, breaks: 0 },
    ...{ connections: 0, connectionsLost: 0, names: 0, namesLost: 0 },
  };
  const stay = (): void => {
    const socket = connect(port, address, () => socket.write('?'));
    socket.on('error', () => {});
    socket.on('data', () => {
      counts.requests++;
      setTimeout(() => socket.write('?'), 20);
    });
    socket.on('close', () => {
      counts.breaks++;
      setTimeout(stay, 100);
    });
  };
  stay();
  const udp = createSocket('udp4');
  const waiting = new Map<string, NodeJS.Timeout>();
  let number = 0;
  udp.on('error', () => {});
  udp.on('message', (text) => {
    const key = text.toString();
    if (!waiting.has(key)) return;
    clearTimeout(waiting.get(key));
    waiting.delete(key);
    counts.datagrams++;
  });
  udp.connect(port, address, () => {
    setInterval(() => {
      const key = String(number++);
      waiting.set(
        key,
        setTimeout(() => {
          waiting.delete(key);
          counts.datagrams++;
          counts.datagramsLost++;
        }, PATIENCE),
      );
      udp.send(key, () => {});
    }, 20);
  });
  const resolver = new Resolver({ timeout: PATIENCE, tries: 1 });
  resolver.setServers(['127.0.0.11']);
  setInterval(async () => {
    const socket = connect(port, address);
    socket.on('error', () => {});
    const reached = new Promise((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
    });
    const [connected, found] = await Promise.all([intime(reached), intime(resolver.resolve4(name))]);
    socket.destroy();
    counts.connections++;
    if (!connected) counts.connectionsLost++;
    counts.names++;
    if (!found) counts.namesLost++;
  }, 200);
  setInterval(() => console.log(JSON.stringify(counts)), 100);
  console.log('TALKING');
}

if (import.meta.main) {
  const [verb, ...args] = process.argv.slice(2);
  if (verb === 'answer') answer(Number(args[0]));
  else talk(args[0] ?? '', Number(args[1]), args[2] ?? '');
}
