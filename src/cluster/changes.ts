import type { Logger } from 'pino';
import type { Prefix } from '../model/address.ts';
import type { OverlaySpec } from '../model/overlay.ts';

/** What the cluster tells the engine of this host. */
export interface ClusterListener {
  networkCame(spec: OverlaySpec): void;
  networkWent(id: string): void;
  /** Endpoints of other hosts on this network, or their hosts, are others than before: those with these ids, or any. */
  remotesChanged(networkId: string, endpointIds: ReadonlySet<string> | 'any'): void;
  /** A host came, went, or has another address. */
  nodesChanged?(): void;
  /** The cluster had forgotten this host, and gave its addresses to another. */
  blockLost(networkId: string, block: Prefix): void;
}

/** A listing tells thousands of changes in one go: they are gathered, and the listener looks once. */
export class Changes {
  readonly #log: Logger;
  #listener: ClusterListener | undefined;
  #closed = false;
  #nodes = false;
  /** Which endpoints, by network, are others since the listener looked. */
  readonly #remotes = new Map<string, Set<string> | 'any'>();

  constructor(log: Logger) {
    this.#log = log;
  }

  tell(listener: ClusterListener): void {
    this.#listener = listener;
  }

  close(): void {
    this.#closed = true;
  }

  ofNodes(): void {
    if (this.#nodes) return;
    this.#nodes = true;
    queueMicrotask(() => {
      this.#nodes = false;
      if (!this.#closed) this.#listener?.nodesChanged?.();
    });
  }

  ofRemotes(networkId: string, endpointIds: Iterable<string> | 'any'): void {
    if (this.#remotes.size === 0) queueMicrotask(() => this.#tellRemotes());
    const known = this.#remotes.get(networkId);
    if (endpointIds === 'any' || known === 'any') this.#remotes.set(networkId, 'any');
    else if (known === undefined) this.#remotes.set(networkId, new Set(endpointIds));
    else for (const id of endpointIds) known.add(id);
  }

  #tellRemotes(): void {
    const changed = [...this.#remotes];
    this.#remotes.clear();
    if (this.#closed) return;
    for (const [id, endpointIds] of changed) {
      try {
        this.#listener?.remotesChanged(id, endpointIds);
      } catch (error) {
        this.#log.error({ err: error, network: id }, 'a change of the cluster could not be followed');
      }
    }
  }

  ofBlock(networkId: string, lost: Prefix): void {
    this.#listener?.blockLost(networkId, lost);
  }
}
