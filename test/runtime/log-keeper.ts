import { HeldLog } from './held-log.ts';

/** A daemon as far as one container's log goes: reads, rotates, says that it is there, and waits for its death. */
new HeldLog(process.argv[2] ?? '', { maxSize: 3000, maxFiles: 10_000 });
process.stdout.write('ready\n');
setInterval(() => {}, 1000);
