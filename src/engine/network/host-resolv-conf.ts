import { existsSync, readFileSync } from 'node:fs';
import { parseResolvConf, type ResolvConf } from './resolv-conf.ts';

export const HOST_RESOLV_CONF = '/etc/resolv.conf';
/** systemd-resolved's stub is on the host's loopback; behind it is this file (resolved.conf(5)). */
const RESOLVED_STUB = '127.0.0.53';
const RESOLVED_CONF = '/run/systemd/resolve/resolv.conf';

/** The host's resolv.conf that has its real name servers, and where it is. */
export function hostResolvConf(): { readonly path: string; readonly conf: ResolvConf } {
  const conf = parseResolvConf(readText(HOST_RESOLV_CONF));
  const stub = conf.nameservers.length === 1 && conf.nameservers[0] === RESOLVED_STUB;
  if (!stub || !existsSync(RESOLVED_CONF)) return { path: HOST_RESOLV_CONF, conf };
  return { path: RESOLVED_CONF, conf: parseResolvConf(readText(RESOLVED_CONF)) };
}

export function readText(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
