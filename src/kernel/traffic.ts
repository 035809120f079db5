import type { Family } from '../model/address.ts';
import { DROP_LOG_GROUP } from '../plan/nft-text.ts';
import { type BridgedPacket, BridgedPackets, trackedOnBridges } from './bridged-packets.ts';
import { type ConnectionEvent, ConnectionListener } from './conntrack-events.ts';
import { type LoggedDrop, loggedDrop } from './drop-log.ts';
import { type ForeignDrop, ForeignDrops } from './foreign-drops.ts';
import { KernelError } from './kernel.ts';
import { PacketLog } from './packet-log.ts';
import { readSysctl, writeSysctl } from './sysctl.ts';

/** A message of a packet log may hold dozens of packets. */
const GATHERED = 16;
/** A second's worth of messages. */
const TRACE_DATAGRAMS = 2500;
const ACCOUNTING = 'net/netfilter/nf_conntrack_acct';

/** What passed and what was dropped since it was last asked. */
export interface TrafficReport {
  readonly connections: readonly ConnectionEvent[];
  /** What begins and ends connections within a network. Connection tracking may see them as well. */
  readonly bridged: readonly BridgedPacket[];
  readonly drops: readonly LoggedDrop[];
  /** By rules of others, as far as they were traced: not counted where they are many. */
  readonly foreignDrops: readonly ForeignDrop[];
  /** How many events the kernel could not keep; at least one where it does not say. */
  readonly lost: number;
  /** There is more to read at once. */
  readonly more: boolean;
}

/** Hears of connections and drops of the host. The kernel keeps what comes (4 MB and 200 kB) until it is read. */
export interface TrafficSource {
  /** What cannot be heard on this kernel, in sentences. */
  readonly missing: readonly string[];
  /** Families whose bridged packets connection tracking sees, but for those of overlay networks. */
  readonly trackedOnBridges: ReadonlySet<Family>;
  /** @param datagrams at most as many of each kind are read */
  read(datagrams: number): TrafficReport;
  /** Bytes there and back up to now; undefined when the connection is gone. */
  trafficOf(event: ConnectionEvent): ConnectionEvent['traffic'];
  close(): void;
}

/** Counts bytes of connections while it is open (`net.netfilter.nf_conntrack_acct`), and puts the setting back. */
export function hearTraffic(): TrafficSource {
  const missing: string[] = [];
  const attempt = <T>(what: string, make: () => T): T | undefined => {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      missing.push(`${what}: ${error.message}`);
      return undefined;
    }
  };
  const connections = attempt('connections cannot be seen', () => new ConnectionListener());
  const drops = attempt('dropped packets cannot be seen', () => new PacketLog(DROP_LOG_GROUP));
  const bridged = attempt('connections within a network cannot be seen', () => new BridgedPackets());
  const foreign = attempt('packets that rules of others drop cannot be seen', () => new ForeignDrops());
  const before = readSysctl(ACCOUNTING);
  if (before === '0') attempt('bytes are not counted', () => writeSysctl(ACCOUNTING, '1'));
  return {
    missing,
    trackedOnBridges: trackedOnBridges(),
    read: (datagrams) => {
      const heard = connections?.read(datagrams);
      const dropped = drops?.read(Math.ceil(datagrams / GATHERED));
      const within = bridged?.read(Math.ceil(datagrams / GATHERED));
      return {
        connections: heard?.events ?? [],
        bridged: within?.packets ?? [],
        drops: dropped?.packets.map(loggedDrop) ?? [],
        foreignDrops: foreign?.read(TRACE_DATAGRAMS) ?? [],
        lost: (heard?.overrun ? 1 : 0) + (dropped?.lost ?? 0) + (within?.lost ?? 0),
        more: (heard?.more ?? false) || (dropped?.more ?? false) || (within?.more ?? false),
      };
    },
    trafficOf: (event) => connections?.trafficOf(event),
    close: () => {
      connections?.close();
      drops?.close();
      foreign?.close();
      bridged?.close();
      if (before === '0') attempt('', () => writeSysctl(ACCOUNTING, before));
    },
  };
}
