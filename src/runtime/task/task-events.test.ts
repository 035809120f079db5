import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { TaskExit } from '../tasks.ts';
import { TaskEvents } from './task-events.ts';
import { type TaskServices, taskExitCodec } from './task-services.ts';

class Stream extends EventEmitter {
  cancel(): void {}
  exit(containerId: string, id: string, pid: number): void {
    const value = taskExitCodec.encode({ containerId, id, pid, exitStatus: 3 });
    this.emit('data', { topic: '/tasks/exit', event: { type_url: '', value } });
  }
}

function stage(lookAgain: () => Promise<void> = async () => {}) {
  const streams: Stream[] = [];
  const services = {
    subscribe: () => {
      const stream = new Stream();
      streams.push(stream);
      return stream;
    },
  } as unknown as TaskServices;
  const events = new TaskEvents(services, 'n', pino({ level: 'silent' }), lookAgain);
  const exits: TaskExit[] = [];
  events.onExit((exit) => exits.push(exit));
  return { events, exits, streams };
}

test('an exit is reported once, and only of a process that is watched', () => {
  const { events, exits, streams } = stage();
  events.watch('c', '', 7);
  streams[0]?.exit('c', 'c', 7);
  streams[0]?.exit('c', 'c', 7);
  streams[0]?.exit('other', 'other', 8);
  assert.deepEqual(
    exits.map((exit) => [exit.id, exit.execId, exit.pid, exit.exitStatus]),
    [['c', '', 7, 3]],
  );
  events.close();
});

test('an exit that comes before the answer of the start is reported after it', async () => {
  const { events, exits, streams } = stage();
  streams[0]?.exit('c', 'exec', 7);
  events.watch('c', 'exec', 7);
  assert.equal(exits.length, 0);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(exits[0]?.execId, 'exec');
  events.close();
});

test('a broken stream is made again, and what ended meanwhile is looked for', async () => {
  let looks = 0;
  const made = stage(async () => {
    looks++;
    made.events.ended({ id: 'c', execId: '', pid: 7, exitStatus: 137, exitedAt: '' });
  });
  made.events.watch('c', '', 7);
  made.streams[0]?.emit('error', new Error('Connection dropped'));
  for (let i = 0; i < 50 && made.exits.length === 0; i++) await sleep(10);
  assert.equal(looks, 1);
  assert.deepEqual([made.streams.length, made.exits.length], [2, 1]);
  made.events.close();
});
