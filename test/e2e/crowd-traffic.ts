/**
 * Traffic among many containers from one process, which goes from namespace to namespace: a socket stays in the one it
 * was made in (network_namespaces(7)). Its rate is bounded, so that what observes it can be measured.
 *   node crowd-traffic.ts JSON   a `Crowd`; prints its `CrowdCounts` so far, a JSON line a second
 */
import { openSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { CLONE_NEWNET, setns } from '../../src/kernel/libc.ts';

export interface Target {
  /** A process in the namespace that asks. */
  readonly pid: number;
  readonly address: string;
  readonly port: number;
}

export interface Crowd {
  /** Processes in the namespaces that echo TCP. */
  readonly servers: readonly number[];
  readonly port: number;
  /** Connections that stay; each carries `CHUNK` bytes there and back `CHUNKS_A_SECOND` times a second. */
  readonly standing: readonly Target[];
  /** New connections, one after the other and from the beginning again; each carries `CHUNK` bytes there and back. */
  readonly passing: readonly Target[];
  /** Of those, a second. */
  readonly rate: number;
}

/** Bytes are those that came back. */
export interface CrowdCounts {
  readonly answered: number;
  readonly unanswered: number;
  readonly broken: number;
  readonly bytes: number;
}

const CHUNK = Buffer.alloc(8192);
const CHUNKS_A_SECOND = 2;
/** Milliseconds until a connection that brings nothing is given up. */
const PATIENCE = 2000;

const counts = { answered: 0, unanswered: 0, broken: 0, bytes: 0 };
const namespaces = new Map<number, number>();

/** Whatever is opened before the next turn is in the namespace of `pid`. */
function enter(pid: number): void {
  const known = namespaces.get(pid);
  const fd = known ?? openSync(`/proc/${pid}/ns/net`, 'r');
  namespaces.set(pid, fd);
  setns(fd, CLONE_NEWNET);
}

async function reach({ pid, address, port }: Target): Promise<Socket> {
  enter(pid);
  const socket = connect(port, address);
  socket.on('error', () => {});
  // net.connect() opens the socket at the end of this turn.
  await turn();
  return socket;
}

async function stay(target: Target): Promise<void> {
  const socket = await reach(target);
  socket.on('data', (chunk) => {
    counts.bytes += chunk.length;
  });
  const timer = setInterval(() => socket.write(CHUNK), 1000 / CHUNKS_A_SECOND);
  socket.on('close', () => {
    clearInterval(timer);
    counts.broken++;
  });
}

async function pass(target: Target): Promise<void> {
  const socket = await reach(target);
  let bytes = 0;
  socket.setTimeout(PATIENCE, () => socket.destroy());
  socket.on('data', (chunk) => {
    bytes += chunk.length;
    if (bytes === CHUNK.length) socket.end();
  });
  socket.on('close', () => {
    counts.bytes += bytes;
    if (bytes === CHUNK.length) counts.answered++;
    else counts.unanswered++;
  });
  socket.write(CHUNK);
}

if (import.meta.main) {
  const { servers, port, standing, passing, rate } = JSON.parse(process.argv[2] ?? '{}') as Crowd;
  for (const pid of servers) {
    enter(pid);
    await new Promise<void>((resolve) => {
      // Without an address it listens within this turn.
      createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(port, resolve);
    });
  }
  for (const target of standing) {
    await stay(target);
    await sleep(3);
  }
  setInterval(() => console.log(JSON.stringify(counts)), 1000);
  const began = performance.now();
  for (let n = 0; ; n++) {
    const target = passing[n % passing.length];
    if (target !== undefined) await pass(target);
    await sleep(Math.max(0, began + ((n + 1) * 1000) / rate - performance.now()));
  }
}
