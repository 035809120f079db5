import { join } from 'node:path';
import { JsonFileLog } from '../../src/runtime/log/json-file-log.ts';
import { openStreams } from '../../src/runtime/stream/process-streams.ts';
import { Stage } from './stage.ts';

/** Starts containerd and one talking container, says so, and waits for its death. */
const directory = process.argv[2] ?? '';
const stage = new Stage(directory);
await stage.process.start();
const log = new JsonFileLog({ path: join(directory, 'log/c-json.log'), journal: join(directory, 'journal') });
const streams = openStreams({
  directory: join(directory, 'streams'),
  terminal: false,
  stdin: false,
  stdinOnce: false,
  log,
});
const script =
  'i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); [ $((i % 10)) = 0 ] && busybox usleep 2000; done; sleep 100';
await stage.run('talker', ['sh', '-c', script], { stdio: streams.paths });
process.stdout.write('running\n');
setInterval(() => {}, 1000);
