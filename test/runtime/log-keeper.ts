import { join } from 'node:path';
import { JsonFileLog } from '../../src/runtime/log/json-file-log.ts';
import { openStreams } from '../../src/runtime/stream/process-streams.ts';

/** A daemon as far as one container's log goes: reads, rotates, says that it is there, and waits for its death. */
const directory = process.argv[2] ?? '';
const log = new JsonFileLog({
  path: join(directory, 'c-json.log'),
  journal: join(directory, 'journal'),
  maxSize: 3000,
  maxFiles: 10_000,
});
openStreams({ directory: join(directory, 's'), terminal: false, stdin: false, stdinOnce: false, log });
process.stdout.write('ready\n');
setInterval(() => {}, 1000);
