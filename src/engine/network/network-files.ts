import { closeSync, constants, ftruncateSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { addressesOf, type Endpoint } from '../../model/network.ts';
import type { NetworkConfig } from '../config.ts';
import type { NetworkFiles, NetworkFilesRequest } from '../networking.ts';
import { HOST_RESOLV_CONF, hostResolvConf, readText } from './host-resolv-conf.ts';
import { type HostsEntry, hostsFile, ownNames } from './hosts-file.ts';
import { containerResolvConf } from './resolv-conf.ts';

export interface NetworkFacts {
  readonly endpoints: readonly Endpoint[];
  readonly config: NetworkConfig;
  /** What `host-gateway` of `--add-host` means. */
  readonly hostGateways: readonly string[];
  /** The engine's own name server answers in this sandbox. */
  readonly ownNameServer: boolean;
}

/** Writes a container's `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`. */
export function writeNetworkFiles(request: NetworkFilesRequest, facts: NetworkFacts): NetworkFiles {
  const { directory, mode } = request;
  mkdirSync(directory, { recursive: true, mode: 0o710 });
  const files = {
    hostsPath: join(directory, 'hosts'),
    hostnamePath: join(directory, 'hostname'),
    resolvConfPath: join(directory, 'resolv.conf'),
  };
  const extra = request.extraHosts.flatMap((text) => parseExtraHost(text, facts.hostGateways));
  const own = facts.endpoints.flatMap(addressesOf).map(({ address }) => ({
    address,
    names: ownNames(request.hostname, request.domainname),
  }));
  // A given extra host stops the copy of the host's file, as in Docker.
  const hosts =
    mode === 'host' && extra.length === 0
      ? readText('/etc/hosts')
      : hostsFile([...extra, ...request.links, ...own]);
  write(files.hostsPath, hosts);
  write(files.hostnamePath, `${request.hostname}\n`);
  write(files.resolvConfPath, resolvConf(request, facts));
  return files;
}

function resolvConf(
  request: NetworkFilesRequest,
  { config, ownNameServer, endpoints }: NetworkFacts,
): string {
  const choose = (own: readonly string[], daemon: readonly string[]) => (own.length > 0 ? own : daemon);
  const given = {
    dns: choose(request.dns, config.dns),
    search: choose(request.dnsSearch, config.dnsSearch),
    options: choose(request.dnsOptions, config.dnsOpts),
  };
  const unchanged = given.dns.length + given.search.length + given.options.length === 0;
  if (request.mode === 'host' && unchanged) return readText(HOST_RESOLV_CONF);
  const { path, conf } = hostResolvConf();
  const ipv6 = endpoints.some((endpoint) => endpoint.ipv6 !== undefined);
  const kind = request.mode === 'host' ? 'host' : ownNameServer ? 'internal' : 'legacy';
  return containerResolvConf(conf, path, kind, given, ipv6);
}

function parseExtraHost(text: string, hostGateways: readonly string[]): readonly HostsEntry[] {
  const separator = text.search(/[:=]/);
  const name = text.slice(0, separator);
  const address = text.slice(separator + 1).replace(/^\[|\]$/g, '');
  const addresses = address === 'host-gateway' ? hostGateways : [address];
  return addresses.map((each) => ({ address: each, names: [name] }));
}

/**
 * In place: a running container has this very inode mounted. Cut to its length after the writing: ext4 puts a file that
 * was ever cut to nothing on disk when it is closed (auto_da_alloc, ext4(5)), and the next cut waits for that.
 */
function write(path: string, text: string): void {
  const bytes = Buffer.from(text);
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o644);
  try {
    writeSync(fd, bytes, 0, bytes.length, 0);
    ftruncateSync(fd, bytes.length);
  } finally {
    closeSync(fd);
  }
}
