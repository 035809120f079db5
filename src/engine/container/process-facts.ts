import { readFileSync } from 'node:fs';
import { totalmem, uptime } from 'node:os';

/** What proc(5) tells of a process. */
export interface ProcessFacts {
  readonly pid: number;
  readonly ppid: number;
  readonly uid: number;
  readonly gid: number;
  readonly startTicks: number;
  readonly cpuTicks: number;
  /** `?` or `pts/0`. */
  readonly terminal: string;
  readonly name: string;
  readonly command: string;
  readonly state: string;
  readonly session: number;
  readonly foreground: boolean;
  readonly nice: number;
  readonly priority: number;
  readonly threads: number;
  /** KiB. */
  readonly virtual: number;
  readonly resident: number;
}

/** sysconf(_SC_CLK_TCK) of every Linux that runs today. */
export const TICKS = 100;
const PAGE_KIB = 4;

/** Undefined when it is gone. */
export function readProcess(pid: number): ProcessFacts | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // proc_pid_stat(5): the command in parentheses may hold anything, also parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const field = (n: number): number => Number(fields[n - 3]);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    const terminal = field(7);
    return {
      pid,
      ppid: field(4),
      uid: Number(/^Uid:\s+(\d+)/m.exec(status)?.[1] ?? 0),
      gid: Number(/^Gid:\s+(\d+)/m.exec(status)?.[1] ?? 0),
      startTicks: field(22),
      cpuTicks: field(14) + field(15),
      terminal: terminal === 0 ? '?' : `pts/${(terminal & 0xff) | ((terminal >> 12) & 0xfff00)}`,
      name,
      command: command || `[${name}]`,
      state: fields[0] ?? '?',
      session: field(6),
      foreground: field(8) === field(5),
      nice: field(19),
      priority: field(18),
      threads: field(20),
      virtual: Math.round(field(23) / 1024),
      resident: field(24) * PAGE_KIB,
    };
  } catch {
    return undefined;
  }
}

/** Seconds it has been running. */
export const ageOf = (process: ProcessFacts): number => Math.max(0, uptime() - process.startTicks / TICKS);

/** Of one CPU, in percent of its life. */
export function cpuShare(process: ProcessFacts): number {
  const age = ageOf(process);
  return age === 0 ? 0 : (process.cpuTicks / TICKS / age) * 100;
}

export const memoryShare = (process: ProcessFacts): number => ((process.resident * 1024) / totalmem()) * 100;

/** `Ss+` and the like (ps(1), "PROCESS STATE CODES"). */
export function stateCodes(process: ProcessFacts): string {
  return [
    process.state,
    process.nice < 0 ? '<' : process.nice > 0 ? 'N' : '',
    process.session === process.pid ? 's' : '',
    process.threads > 1 ? 'l' : '',
    process.foreground ? '+' : '',
  ].join('');
}
