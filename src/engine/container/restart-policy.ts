import type { HostConfig } from '@docker/node-sdk';

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 60_000;
/** A run that lasted this long was a success: the delay starts over (moby restartmanager). */
const STABLE_MS = 10_000;

export type RestartDecision =
  | { readonly restart: false }
  | { readonly restart: true; readonly delayMs: number };

/**
 * Whether and when an ended container is started again (docs.docker.com, "Start containers automatically").
 * @param previousDelayMs of the last restart, 0 for none. @param ranMs how long this run lasted
 */
export function decideRestart(
  policy: HostConfig['RestartPolicy'],
  exit: {
    readonly exitCode: number;
    readonly manuallyStopped: boolean;
    readonly restartCount: number;
    readonly previousDelayMs: number;
    readonly ranMs: number;
  },
): RestartDecision {
  const name = policy?.Name ?? 'no';
  const wanted =
    name === 'always' ||
    name === 'unless-stopped' ||
    (name === 'on-failure' &&
      exit.exitCode !== 0 &&
      (!policy?.MaximumRetryCount || exit.restartCount < policy.MaximumRetryCount));
  if (!wanted || exit.manuallyStopped) return { restart: false };
  const doubled =
    exit.previousDelayMs === 0 || exit.ranMs >= STABLE_MS ? FIRST_DELAY_MS : exit.previousDelayMs * 2;
  return { restart: true, delayMs: Math.min(doubled, LONGEST_DELAY_MS) };
}

/** Whether a container that is not running is started when the daemon starts. */
export function startsWithDaemon(
  policy: HostConfig['RestartPolicy'],
  manuallyStopped: boolean,
  wasRunning: boolean,
): boolean {
  const name = policy?.Name ?? 'no';
  if (name === 'always') return true;
  if (name === 'unless-stopped') return !manuallyStopped;
  return name === 'on-failure' && wasRunning;
}
