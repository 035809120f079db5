import { closeSync, existsSync, mkdtempSync, openSync, rmdirSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as libc from './libc.ts';
import { mount, unmount } from './mount.ts';

/** Where a packet was given up, and the kernel's word for why (include/net/dropreason-core.h). */
export interface PacketDrop {
  /** `NETFILTER_DROP`, `NO_SOCKET`, `IP_RPFILTER`… */
  readonly reason: string;
  /** `ip_forward+0x1f3/0x4b0`, a plain address where the kernel tells no names. */
  readonly location: string;
}

const BUFFER_KB = '64';
const ETH_P_IP = 0x0800;
const ETH_P_IPV6 = 0x86dd;

/** A line of the trace: `node-12 [000] ..s1. 1.5: kfree_skb: skbaddr=… protocol=2048 location=F+0x1/0x2 reason: WORD`. */
export function parseDrops(trace: string): readonly PacketDrop[] {
  return trace.split('\n').flatMap((line) => {
    const found = / kfree_skb: .*\blocation=(\S+) reason: (\w+)/.exec(line);
    const [, location = '', reason = ''] = found ?? [];
    // Not a drop: the packet was used up.
    return found === null || reason === 'CONSUMED' ? [] : [{ location, reason }];
  });
}

/**
 * Drops of packets while this thread works for them: what it sends on this machine passes bridges, veths and firewalls
 * within its own system call, until somebody keeps it or gives it up. In a trace instance of its own, on a mount that
 * nobody else sees (Documentation/trace/ftrace.rst, "Instances").
 */
export class DropRecorder {
  readonly #root: number;
  readonly #instance: string;
  #stopped = false;

  private constructor(root: number, instance: string) {
    this.#root = root;
    this.#instance = instance;
  }

  /** Undefined where the kernel has no tracefs or no such event. Must be called on the thread that will send. */
  static async start(thread: number = process.pid): Promise<DropRecorder | undefined> {
    let recorder: DropRecorder | undefined;
    try {
      const root = openTracefs();
      // A descriptor keeps the mount that has no place any more.
      const instance = `/proc/self/fd/${root}/instances/gangway-${process.pid}-${root}`;
      recorder = new DropRecorder(root, instance);
      await sweep(`/proc/self/fd/${root}/instances`);
      await mkdir(instance);
      await writeFile(`${instance}/buffer_size_kb`, BUFFER_KB);
      const event = `${instance}/events/skb/kfree_skb`;
      await writeFile(
        `${event}/filter`,
        `common_pid == ${thread} && (protocol == ${ETH_P_IP} || protocol == ${ETH_P_IPV6})`,
      );
      await writeFile(`${event}/enable`, '1');
      return recorder;
    } catch {
      await recorder?.stop();
      return undefined;
    }
  }

  /** Ends the recording. @returns what was dropped, oldest first; nothing when it was stopped before */
  async stop(): Promise<readonly PacketDrop[]> {
    if (this.#stopped) return [];
    this.#stopped = true;
    try {
      await writeFile(`${this.#instance}/events/skb/kfree_skb/enable`, '0');
      const drops = parseDrops(await readFile(`${this.#instance}/trace`, 'utf8'));
      await rmdir(this.#instance);
      return drops;
    } catch {
      return [];
    } finally {
      closeSync(this.#root);
    }
  }
}

/** Removes what a daemon left that was killed while it recorded. */
async function sweep(instances: string): Promise<void> {
  for (const name of await readdir(instances)) {
    const owner = /^gangway-(\d+)-\d+$/.exec(name)?.[1];
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) await rmdir(`${instances}/${name}`);
  }
}

/** A directory descriptor of tracefs. @throws Error without one */
function openTracefs(): number {
  const directory = mkdtempSync(join(tmpdir(), 'gangway-trace-'));
  try {
    mount('tracefs', directory, 'tracefs', 0, []);
    try {
      return openSync(directory, 'r');
    } finally {
      unmount(directory, libc.MNT_DETACH);
    }
  } finally {
    rmdirSync(directory);
  }
}
