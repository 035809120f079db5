import { readFileSync } from 'node:fs';
import { invalid } from '../../model/errors.ts';

interface Process {
  readonly pid: number;
  readonly ppid: number;
  readonly uid: number;
  readonly startTicks: number;
  readonly cpuTicks: number;
  readonly tty: string;
  readonly command: string;
}

/** sysconf(_SC_CLK_TCK) of every Linux that runs today. */
const TICKS = 100;

/** Columns of `ps -ef`, which is what `docker top` shows without arguments. */
export const TITLES = ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'] as const;

/** @throws EngineError INVALID_PARAMETER for ps options other than `-ef` and `aux`-like ones */
export function topRows(
  pids: readonly number[],
  psArgs: string,
): { Titles: string[]; Processes: string[][] } {
  if (psArgs !== '' && psArgs !== '-ef') {
    throw invalid(`ps options "${psArgs}" are not supported: use -ef, the default`);
  }
  const boot = bootTime();
  const users = userNames();
  const rows = pids.flatMap((pid) => {
    const process = readProcess(pid);
    if (process === undefined) return [];
    const started = new Date((boot + process.startTicks / TICKS) * 1000);
    return [
      [
        users.get(process.uid) ?? String(process.uid),
        String(process.pid),
        String(process.ppid),
        '0',
        started.toTimeString().slice(0, 5),
        process.tty,
        clock(process.cpuTicks / TICKS),
        process.command,
      ],
    ];
  });
  return { Titles: [...TITLES], Processes: rows };
}

function readProcess(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // proc_pid_stat(5): the command in parentheses may hold anything, also parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const field = (n: number): number => Number(fields[n - 3]);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    const tty = field(7);
    return {
      pid,
      ppid: field(4),
      uid: Number(/^Uid:\s+(\d+)/m.exec(status)?.[1] ?? 0),
      startTicks: field(22),
      cpuTicks: field(14) + field(15),
      tty: tty === 0 ? '?' : `pts/${(tty & 0xff) | ((tty >> 12) & 0xfff00)}`,
      command: command || `[${stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))}]`,
    };
  } catch {
    return undefined;
  }
}

function bootTime(): number {
  return Number(/^btime (\d+)/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? 0);
}

function userNames(): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name, , uid] = line.split(':');
    if (name && uid) names.set(Number(uid), name);
  }
  return names;
}

function clock(seconds: number): string {
  const part = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  return `${part(seconds / 3600)}:${part((seconds / 60) % 60)}:${part(seconds % 60)}`;
}
