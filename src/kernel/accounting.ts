import { bootId } from './boot.ts';
import { currentNetns } from './socket-owner.ts';
import { readSysctl, writeSysctl } from './sysctl.ts';

/** Whether connection tracking counts bytes. */
export const ACCOUNTING = 'net/netfilter/nf_conntrack_acct';

/** A setting of the host's that was changed for a time, and is to be put back. */
export interface ChangedSetting {
  readonly before: string;
  /** Where it was changed: the kernel's run and the network namespace. */
  readonly boot: string;
  readonly netns: string;
}

/** Where that is written down before it is done: the daemon may be killed meanwhile. */
export interface SettingNote {
  get(): ChangedSetting | undefined;
  put(changed: ChangedSetting): void;
  delete(): void;
}

/** In the namespace the thread is in now. @returns puts the setting back; undefined where it counts already. @throws KernelError */
export function countBytes(note: SettingNote): (() => void) | undefined {
  const before = readSysctl(ACCOUNTING);
  if (before !== '0') return undefined;
  note.put({ before, ...whereNow() });
  writeSysctl(ACCOUNTING, '1');
  return () => {
    writeSysctl(ACCOUNTING, before);
    note.delete();
  };
}

/** What a daemon that was killed had changed, if it was here. Nothing is touched where nothing is noted. @throws KernelError */
export function putBack(note: SettingNote): void {
  const changed = note.get();
  if (changed === undefined) return;
  const { boot, netns } = whereNow();
  if (changed.boot === boot && changed.netns === netns) writeSysctl(ACCOUNTING, changed.before);
  note.delete();
}

const whereNow = (): Omit<ChangedSetting, 'before'> => ({
  boot: bootId(),
  netns: currentNetns(),
});
