import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Program {
  readonly name: string;
  readonly pid: number;
}

/**
 * Who has these sockets, by inode. Walks /proc, so it is for one question and no hot path.
 * @param netns the link text of the namespace (`net:[4026531840]`): only its processes are looked at
 */
export function socketOwners(inodes: ReadonlySet<number>, netns: string): ReadonlyMap<number, Program> {
  const found = new Map<number, Program>();
  if (inodes.size === 0) return found;
  for (const entry of readdirSync('/proc')) {
    if (found.size === inodes.size) break;
    if (!/^\d+$/.test(entry) || linkOf(`/proc/${entry}/ns/net`) !== netns) continue;
    for (const fd of list(`/proc/${entry}/fd`)) {
      const inode = Number(/^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${entry}/fd/${fd}`) ?? '')?.[1]);
      if (inodes.has(inode) && !found.has(inode)) {
        found.set(inode, { name: nameOf(entry), pid: Number(entry) });
      }
    }
  }
  return found;
}

/** The link text of the namespace the thread is in now. */
export const currentNetns = (): string => readlinkSync('/proc/thread-self/ns/net');

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

function list(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function nameOf(pid: string): string {
  try {
    // A program may call its threads what it likes; what it was started as tells more.
    const [started = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const name = started.slice(started.lastIndexOf('/') + 1);
    return name === '' ? readFileSync(`/proc/${pid}/comm`, 'utf8').trim() : name;
  } catch {
    return '';
  }
}
