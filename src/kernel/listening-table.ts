import type { Nftables } from './nftables.ts';

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
