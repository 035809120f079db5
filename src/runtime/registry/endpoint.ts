import ipaddr from 'ipaddr.js';
import { DEFAULT_DOMAIN, type Reference } from './reference.ts';

export interface RegistryEndpoint {
  /** `https://registry-1.docker.io`, without a trailing slash. */
  readonly url: string;
  readonly mirror: boolean;
}

/**
 * Where to look for an image, in order: mirrors stand for Docker Hub only; `insecure` registries and those on loopback
 * are tried without TLS when TLS fails (docs.docker.com/reference/cli/dockerd, "Insecure registries").
 */
export function endpointsFor(
  reference: Reference,
  options: { readonly registryMirrors: readonly string[]; readonly insecureRegistries: readonly string[] },
): readonly RegistryEndpoint[] {
  if (reference.domain === DEFAULT_DOMAIN) {
    return [
      ...options.registryMirrors.map((mirror) => ({ url: mirror.replace(/\/+$/, ''), mirror: true })),
      { url: 'https://registry-1.docker.io', mirror: false },
    ];
  }
  const https = { url: `https://${reference.domain}`, mirror: false };
  if (!isInsecure(reference.domain, options.insecureRegistries)) return [https];
  return [https, { url: `http://${reference.domain}`, mirror: false }];
}

const LOOPBACK = ['127.0.0.0/8', '::1/128'];

/** @param configured hosts, `host:port`, or CIDR; an address in a CIDR is insecure, a name is not looked up for it */
function isInsecure(domain: string, configured: readonly string[]): boolean {
  const host = domain.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (host === 'localhost') return true;
  return [...LOOPBACK, ...configured].some(
    (entry) => entry === domain || entry === host || (entry.includes('/') && contains(entry, host)),
  );
}

function contains(cidr: string, host: string): boolean {
  if (!ipaddr.isValid(host) || !ipaddr.isValidCIDR(cidr)) return false;
  const address = ipaddr.parse(host);
  const [network, length] = ipaddr.parseCIDR(cidr);
  return address.kind() === network.kind() && address.match(network, length);
}
