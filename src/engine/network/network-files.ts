import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Endpoint } from '../../model/network.ts';
import type { NetworkConfig } from '../config.ts';
import type { NetworkFiles, NetworkFilesRequest } from '../networking.ts';
import { type HostsEntry, hostsFile, ownNames } from './hosts-file.ts';
import { containerResolvConf, parseResolvConf } from './resolv-conf.ts';

const HOST_RESOLV_CONF = '/etc/resolv.conf';
/** systemd-resolved's stub is on the host's loopback; behind it is this file (resolved.conf(5)). */
const RESOLVED_STUB = '127.0.0.53';
const RESOLVED_CONF = '/run/systemd/resolve/resolv.conf';

/**
 * Writes a container's `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`.
 * @param hostGateway what `host-gateway` of `--add-host` means
 */
export function writeNetworkFiles(
  request: NetworkFilesRequest,
  endpoints: readonly Endpoint[],
  config: NetworkConfig,
  hostGateway: string,
): NetworkFiles {
  const { directory, mode } = request;
  mkdirSync(directory, { recursive: true, mode: 0o710 });
  const files = {
    hostsPath: join(directory, 'hosts'),
    hostnamePath: join(directory, 'hostname'),
    resolvConfPath: join(directory, 'resolv.conf'),
  };
  const extra = request.extraHosts.map((text) => parseExtraHost(text, hostGateway));
  const own = endpoints.map((endpoint) => ({
    address: endpoint.address.address,
    names: ownNames(request.hostname, request.domainname),
  }));
  // A given extra host stops the copy of the host's file, as in Docker.
  const hosts =
    mode === 'host' && extra.length === 0 ? readText('/etc/hosts') : hostsFile([...extra, ...own]);
  write(files.hostsPath, hosts);
  write(files.hostnamePath, `${request.hostname}\n`);
  write(files.resolvConfPath, resolvConf(request, config));
  return files;
}

function resolvConf(request: NetworkFilesRequest, config: NetworkConfig): string {
  const choose = (own: readonly string[], daemon: readonly string[]) => (own.length > 0 ? own : daemon);
  const given = {
    dns: choose(request.dns, config.dns),
    search: choose(request.dnsSearch, config.dnsSearch),
    options: choose(request.dnsOptions, config.dnsOpts),
  };
  const unchanged = given.dns.length + given.search.length + given.options.length === 0;
  if (request.mode === 'host' && unchanged) return readText(HOST_RESOLV_CONF);
  const stub = parseResolvConf(readText(HOST_RESOLV_CONF));
  const resolved =
    stub.nameservers.length === 1 && stub.nameservers[0] === RESOLVED_STUB && existsSync(RESOLVED_CONF);
  const path = resolved ? RESOLVED_CONF : HOST_RESOLV_CONF;
  return containerResolvConf(resolved ? parseResolvConf(readText(path)) : stub, path, request.mode, given);
}

function parseExtraHost(text: string, hostGateway: string): HostsEntry {
  const separator = text.search(/[:=]/);
  const name = text.slice(0, separator);
  const address = text.slice(separator + 1).replace(/^\[|\]$/g, '');
  return { address: address === 'host-gateway' ? hostGateway : address, names: [name] };
}

function readText(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** In place: a running container has this very inode mounted. */
function write(path: string, text: string): void {
  const fd = openSync(path, 'a+', 0o644);
  try {
    ftruncateSync(fd);
    writeSync(fd, text);
  } finally {
    closeSync(fd);
  }
}
