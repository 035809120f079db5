import { childrenOf, killQuietly } from './e2e/process.ts';

/** Several times what the longest file takes. */
const DEADLINE_MS = 15 * 60_000;

/** Every process below this one: what a test started may hold the runner's pipes open, and the runner waits for those. */
const descendants = (pid: number): readonly number[] =>
  childrenOf(pid).flatMap((child) => [child, ...descendants(child)]);

/**
 * Preloaded into every test file: one that never ends fails, and says what keeps it. The runner's own --test-timeout
 * ends tests, not a file whose failed test left something open.
 */
if (process.env.NODE_TEST_CONTEXT !== undefined) {
  setTimeout(() => {
    const open = process.getActiveResourcesInfo().join(', ');
    process.stderr.write(`${process.argv[1]} does not end: ${open} still open\n`);
    for (const pid of descendants(process.pid)) killQuietly(pid);
    process.exit(1);
  }, DEADLINE_MS).unref();
}
