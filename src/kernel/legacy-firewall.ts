import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { FAMILIES, type Family } from '../model/address.ts';
import type { LegacyFirewall } from '../model/kernel-facts.ts';

/** Tables as this namespace has made them; root alone may read it. */
const NAMES = { ipv4: 'ip_tables_names', ipv6: 'ip6_tables_names' } as const;
const SAVE = { ipv4: 'iptables-legacy-save', ipv6: 'ip6tables-legacy-save' } as const;
const PATIENCE_MS = 2000;
const MOST_BYTES = 64 * 1024 * 1024;

/**
 * Rules of iptables-legacy in the namespace the thread is in now. nft does not know them, and only iptables can put the
 * kernel's form of its extensions into words: where there are such tables a process is run, a few milliseconds each;
 * elsewhere it costs two reads of /proc.
 */
export function readLegacyFirewall(): readonly LegacyFirewall[] {
  return FAMILIES.flatMap((family) => {
    const tables = tableNames(family);
    return tables.length === 0 ? [] : [{ family, tables, listing: save(family) }];
  });
}

function tableNames(family: Family): readonly string[] {
  try {
    return readFileSync(`/proc/thread-self/net/${NAMES[family]}`, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}

/** The child begins in the network namespace of the thread that forks it. */
function save(family: Family): string | undefined {
  const { status, stdout } = spawnSync(SAVE[family], [], {
    encoding: 'utf8',
    timeout: PATIENCE_MS,
    maxBuffer: MOST_BYTES,
    stdio: ['ignore', 'pipe', 'ignore'],
    cwd: '/',
    env: { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` },
  });
  return status === 0 ? stdout : undefined;
}
