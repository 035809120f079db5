import { HeldLog } from './held-log.ts';
import { Stage } from './stage.ts';

/** Starts containerd and one talking container, says so, and waits for its death. */
const directory = process.argv[2] ?? '';
const stage = new Stage(directory);
await stage.process.start();
const { streams } = new HeldLog(directory);
const script =
  'i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); [ $((i % 10)) = 0 ] && busybox usleep 2000; done; sleep 100';
await stage.run('talker', ['sh', '-c', script], { stdio: streams.paths });
process.stdout.write('running\n');
setInterval(() => {}, 1000);
