import type { Family } from '../model/address.ts';
import { DROP_LOG_GROUP } from '../plan/nft-text.ts';
import { countBytes, type SettingNote } from './accounting.ts';
import { type BridgedPacket, BridgedPackets, trackedOnBridges } from './bridged-packets.ts';
import { type ConnectionChange, ConnectionChanges } from './connection-changes.ts';
import { type LoggedDrop, loggedDrop } from './drop-log.ts';
import { type ForeignDrop, ForeignDrops } from './foreign-drops.ts';
import { KernelError } from './kernel.ts';
import { PacketLog } from './packet-log.ts';

/** A message of a packet log may hold dozens of packets. */
const GATHERED = 16;
/** A second's worth of messages. */
const TRACE_DATAGRAMS = 2500;

interface Report {
  /** How many events the kernel could not keep; at least one where it does not say. */
  readonly lost: number;
  /** There is more to read at once. */
  readonly more: boolean;
}

/** What passed since it was last asked. */
export interface ConnectionReport extends Report {
  readonly connections: readonly ConnectionChange[];
  /** What begins and ends connections within a network, where connection tracking does not see them. */
  readonly bridged: readonly BridgedPacket[];
}

/** What was dropped since it was last asked. */
export interface DropReport extends Report {
  readonly drops: readonly LoggedDrop[];
  /** By rules of others, as far as they were traced: not counted where they are many. */
  readonly foreignDrops: readonly ForeignDrop[];
}

interface Source {
  /** What cannot be heard on this kernel, in sentences. */
  readonly missing: readonly string[];
  close(): void;
}

/** Hears of connections of the host. The kernel keeps what comes (4 MB and 200 kB) until it is read. */
export interface ConnectionSource extends Source {
  /** Families whose bridged packets connection tracking sees, but for those of overlay networks. */
  readonly trackedOnBridges: ReadonlySet<Family>;
  /**
   * @param datagrams at most as many of each kind are read
   * @param skipped families whose bridged packets need not be read
   */
  read(datagrams: number, skipped: ReadonlySet<Family>): ConnectionReport;
}

/** Hears of what the firewall of the host drops. */
export interface DropSource extends Source {
  /** @param datagrams at most as many of each kind are read */
  read(datagrams: number): DropReport;
}

type Attempt = <T>(what: string, make: () => T) => T | undefined;

/** What fails is said in a sentence. */
function attempts(): { readonly missing: string[]; readonly attempt: Attempt } {
  const missing: string[] = [];
  return {
    missing,
    attempt: (what, make) => {
      try {
        return make();
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        missing.push(`${what}: ${error.message}`);
        return undefined;
      }
    },
  };
}

/** Counts bytes of connections while it is open (`net.netfilter.nf_conntrack_acct`), and puts the setting back. */
export function hearConnections(note: SettingNote): ConnectionSource {
  const { missing, attempt } = attempts();
  const connections = attempt('connections cannot be seen', () => new ConnectionChanges());
  const bridged = attempt('connections within a network cannot be seen', () => new BridgedPackets());
  const stopCounting = attempt('bytes are not counted', () => countBytes(note));
  return {
    missing,
    trackedOnBridges: trackedOnBridges(),
    read: (datagrams, skipped) => {
      const heard = connections?.read(datagrams);
      const within = bridged?.read(Math.ceil(datagrams / GATHERED), skipped);
      return {
        connections: heard?.changes ?? [],
        bridged: within?.packets ?? [],
        lost: (heard?.lost ?? 0) + (within?.lost ?? 0),
        more: (heard?.more ?? false) || (within?.more ?? false),
      };
    },
    close: () => {
      connections?.close();
      bridged?.close();
      attempt('', () => stopCounting?.());
    },
  };
}

export function hearDrops(): DropSource {
  const { missing, attempt } = attempts();
  const drops = attempt('dropped packets cannot be seen', () => new PacketLog(DROP_LOG_GROUP));
  const foreign = attempt('packets that rules of others drop cannot be seen', () => new ForeignDrops());
  return {
    missing,
    read: (datagrams) => {
      const dropped: LoggedDrop[] = [];
      const { lost = 0, more = false } =
        drops?.visit(Math.ceil(datagrams / GATHERED), (packet) => dropped.push(loggedDrop(packet))) ?? {};
      return { drops: dropped, foreignDrops: foreign?.read(TRACE_DATAGRAMS) ?? [], lost, more };
    },
    close: () => {
      drops?.close();
      foreign?.close();
    },
  };
}
