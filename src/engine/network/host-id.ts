import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** What tells this host from others and stays the same: machine-id(5), or the host's name where there is none. */
export function hostId(): string {
  try {
    return readFileSync('/etc/machine-id', 'utf8').trim() || hostname();
  } catch {
    return hostname();
  }
}
