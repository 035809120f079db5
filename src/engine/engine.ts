import type { Logger } from 'pino';
import type { Kernel } from '../kernel/kernel.ts';
import type { Images } from '../runtime/images.ts';
import type { FifoKeeper } from '../runtime/stream/fifo-keeper.ts';
import type { Tasks } from '../runtime/tasks.ts';
import type { DaemonConfig } from './config.ts';
import type { EventBus } from './events.ts';
import type { Networking } from './networking.ts';
import type { Store } from './store.ts';

/** The parts every resource is built from; made once in `bin/gangwayd` and handed down. */
export interface Foundation {
  readonly config: DaemonConfig;
  readonly log: Logger;
  readonly store: Store;
  readonly events: EventBus;
}

/** What the container side stands on. */
export interface Platform extends Foundation {
  readonly kernel: Kernel;
  readonly images: Images;
  readonly tasks: Tasks;
  readonly networking: Networking;
  readonly fifoKeeper: FifoKeeper;
}
