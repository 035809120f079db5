import type { Logger } from 'pino';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Resource } from '../../plan/resource.ts';

/** After the connection, and each after the one before; dockerd's are three, a second apart. */
const DELAYS_MS = [20, 200, 1000] as const;

export interface Announcement {
  readonly containerId: string;
  readonly kernel: Pick<Kernel, 'announce'>;
  readonly log: Logger;
  /** What the endpoint has in the kernel by then; undefined when it is gone. */
  readonly planned: () => readonly Resource[] | undefined;
}

/**
 * Tells the neighbours of a new endpoint's addresses. More than once: a frame may be lost, and the bridge forwards from a
 * port only some time after it came up.
 */
export function announce(what: Announcement, [delay, ...rest]: readonly number[] = DELAYS_MS): void {
  if (delay === undefined) return;
  const { containerId, kernel, log, planned } = what;
  setTimeout(() => {
    try {
      const resources = planned();
      if (resources === undefined) return;
      for (const resource of resources) {
        if (resource.kind === 'veth' || resource.kind === 'macvlan') kernel.announce(resource);
      }
    } catch (error) {
      log.debug({ err: error, container: containerId }, 'addresses are not announced');
    }
    announce(what, rest);
  }, delay).unref();
}
