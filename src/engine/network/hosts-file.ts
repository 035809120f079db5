export interface HostsEntry {
  readonly address: string;
  readonly names: readonly string[];
}

const LOCAL = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

/** `/etc/hosts` of a container (libnetwork etchosts.Build). */
export function hostsFile(entries: readonly HostsEntry[]): string {
  return LOCAL + entries.map(({ address, names }) => `${address}\t${names.join(' ')}\n`).join('');
}

/** The container's own names: the full one first, as `hostname -f` wants it. */
export function ownNames(hostname: string, domainname: string): readonly string[] {
  if (domainname !== '') return [`${hostname}.${domainname}`, hostname];
  const dot = hostname.indexOf('.');
  return dot > 0 ? [hostname, hostname.slice(0, dot)] : [hostname];
}
