import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { Cluster } from '../cluster/cluster.ts';
import { ClusterStore } from '../cluster/cluster-store.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type Ip, isIpv4, parseIp } from '../model/address.ts';
import { system } from '../model/errors.ts';
import type { ClusterConfig } from './config.ts';
import { daemonId } from './daemon-id.ts';
import type { Store } from './store.ts';

/** This host as a member of the cluster. @throws EngineError when no address can be told to the others */
export function makeCluster(
  config: ClusterConfig,
  parts: { readonly store: Store; readonly kernel: Kernel; readonly log: Logger },
): Cluster {
  const { store, kernel, log } = parts;
  return new Cluster({
    remote: new ClusterStore(config.store, log),
    local: store,
    node: { id: daemonId(store), name: hostname(), address: advertised(config.advertise, kernel) },
    log,
  });
}

function advertised(text: string, kernel: Kernel): Ip {
  let address: Ip | undefined;
  try {
    address = parseIp(text);
  } catch {
    const of = kernel.addressesOf(text);
    if (of === undefined)
      throw system(`--cluster-advertise ${text}: there is no such interface on this host`);
    const found = of.find(isIpv4) ?? of.find((each) => !each.startsWith('fe80:'));
    if (found === undefined) throw system(`--cluster-advertise ${text}: the interface has no address`);
    return found;
  }
  if (!kernel.host().localAddresses.includes(address)) {
    throw system(`--cluster-advertise ${text}: this host has no such address`);
  }
  return address;
}
