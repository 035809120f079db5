import { TABLE_NAME } from '../plan/nft-text.ts';
import type { Nftables } from './nftables.ts';

/** Of sockets that hear or count, beside the engine's own table: nothing in them decides over a packet. */
export const WATCH_TABLE = 'gangway_watch';
export const METRICS_TABLE = 'gangway_metrics';

/** Whether a table is the engine's, and none of somebody else. */
export const isOwnTable = (name: string): boolean => [TABLE_NAME, WATCH_TABLE, METRICS_TABLE].includes(name);

/**
 * What hears, and the table whose rules speak to it. @param nft is closed where one of them cannot be made: nothing stays
 * @throws KernelError
 */
export function listenWithTable<T extends { close(): void }>(
  nft: Nftables,
  listen: () => T,
  table: string,
): T {
  let listener: T | undefined;
  try {
    listener = listen();
    nft.run(table);
    return listener;
  } catch (error) {
    listener?.close();
    nft.close();
    throw error;
  }
}
