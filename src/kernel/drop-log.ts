import type { Tuple } from '../model/tuple.ts';
import { DROP_LOG_GROUP } from '../plan/nft-text.ts';
import type { Nftables } from './nftables.ts';
import { tupleOf } from './packet-headers.ts';
import type { LoggedPacket } from './packet-log.ts';
import { PROBE_TABLE } from './probe-table.ts';

export interface LoggedDrop {
  /** The id of the rule. */
  readonly rule: string;
  /** Undefined for what is not IP. */
  readonly tuple: Tuple | undefined;
  /** Interface indices, 0 without one. */
  readonly iif: number;
  readonly oif: number;
}

/** A packet of DROP_LOG_GROUP. */
export const loggedDrop = ({ prefix, headers, iif, oif }: LoggedPacket): LoggedDrop => ({
  rule: prefix,
  tuple: tupleOf(headers),
  iif,
  oif,
});

/** Whether rules may log to a group: tried in a transaction that leaves nothing. */
export function canLogDrops(nft: Nftables): boolean {
  try {
    nft.run(
      ['ip', 'ip6', 'bridge']
        .map((family) => {
          const table = `${family} ${PROBE_TABLE}`;
          const rule = `log prefix "x" group ${DROP_LOG_GROUP} drop`;
          return `add table ${table}; add chain ${table} c; add rule ${table} c ${rule}; delete table ${table}`;
        })
        .join('; '),
    );
    return true;
  } catch {
    return false;
  }
}
