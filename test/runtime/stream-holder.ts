import { join } from 'node:path';
import { pino } from 'pino';
import { FifoKeeper } from '../../src/runtime/stream/fifo-keeper.ts';
import { openStreams } from '../../src/runtime/stream/process-streams.ts';

/** A daemon as far as its streams go: opens a process's FIFOs, says so, reads nothing, and waits for its death. */
const directory = process.argv[2] ?? '';
const keeper = new FifoKeeper(join(directory, 'keeper'), pino({ level: 'silent' }));
openStreams({ directory: join(directory, 's'), terminal: false, stdin: false, stdinOnce: false, keeper });
process.stdout.write('ready\n');
setInterval(() => {}, 1000);
