import { readFileSync } from 'node:fs';
import { system } from '../../model/errors.ts';
import {
  ageOf,
  cpuShare,
  memoryShare,
  type ProcessFacts,
  readProcess,
  stateCodes,
  TICKS,
} from './process-facts.ts';

interface Column {
  readonly title: string;
  readonly value: (process: ProcessFacts, names: Names) => string;
}

interface Names {
  readonly users: ReadonlyMap<number, string>;
  readonly groups: ReadonlyMap<number, string>;
}

const column = (title: string, value: Column['value']): Column => ({ title, value });
const user: Column['value'] = ({ uid }, { users }) => users.get(uid) ?? String(uid);
const group: Column['value'] = ({ gid }, { groups }) => groups.get(gid) ?? String(gid);
const args: Column['value'] = (process) => process.command;
const cpu: Column['value'] = (process) => cpuShare(process).toFixed(1);
const memory: Column['value'] = (process) => memoryShare(process).toFixed(1);
const started: Column['value'] = (process) =>
  new Date(Date.now() - ageOf(process) * 1000).toTimeString().slice(0, 5);
const pid = column('PID', (process) => String(process.pid));
const ppid = column('PPID', (process) => String(process.ppid));
const tty: Column['value'] = (process) => process.terminal;

/** The format specifiers of ps(1) that people use. */
const SPECIFIERS: Readonly<Record<string, Column>> = {
  pid,
  tgid: column('TGID', (process) => String(process.pid)),
  ppid,
  user: column('USER', user),
  euser: column('EUSER', user),
  uid: column('UID', (process) => String(process.uid)),
  gid: column('GID', (process) => String(process.gid)),
  group: column('GROUP', group),
  args: column('COMMAND', args),
  command: column('COMMAND', args),
  cmd: column('CMD', args),
  comm: column('COMMAND', (process) => process.name),
  ucmd: column('CMD', (process) => process.name),
  c: column('C', (process) => String(Math.floor(cpuShare(process)))),
  pcpu: column('%CPU', cpu),
  '%cpu': column('%CPU', cpu),
  pmem: column('%MEM', memory),
  '%mem': column('%MEM', memory),
  rss: column('RSS', (process) => String(process.resident)),
  vsz: column('VSZ', (process) => String(process.virtual)),
  tty: column('TT', tty),
  tname: column('TTY', tty),
  s: column('S', (process) => process.state),
  state: column('S', (process) => process.state),
  stat: column('STAT', stateCodes),
  stime: column('STIME', started),
  start: column('STARTED', (process) =>
    new Date(Date.now() - ageOf(process) * 1000).toTimeString().slice(0, 8),
  ),
  time: column('TIME', (process) => clock(process.cpuTicks / TICKS)),
  cputime: column('TIME', (process) => clock(process.cpuTicks / TICKS)),
  etime: column('ELAPSED', (process) => elapsed(ageOf(process))),
  etimes: column('ELAPSED', (process) => String(Math.floor(ageOf(process)))),
  ni: column('NI', (process) => String(process.nice)),
  nice: column('NI', (process) => String(process.nice)),
  pri: column('PRI', (process) => String(39 - process.priority)),
  nlwp: column('NLWP', (process) => String(process.threads)),
  sid: column('SID', (process) => String(process.session)),
};

const FULL: readonly Column[] = [
  column('UID', user),
  pid,
  ppid,
  column('C', (process) => String(Math.floor(cpuShare(process)))),
  column('STIME', started),
  column('TTY', tty),
  column('TIME', (process) => clock(process.cpuTicks / TICKS)),
  column('CMD', args),
];

const BSD: readonly Column[] = [
  column('USER', user),
  pid,
  column('%CPU', cpu),
  column('%MEM', memory),
  column('VSZ', (process) => String(process.virtual)),
  column('RSS', (process) => String(process.resident)),
  column('TTY', tty),
  column('STAT', stateCodes),
  column('START', started),
  column('TIME', (process) => bsdClock(process.cpuTicks / TICKS)),
  column('COMMAND', args),
];

/**
 * The columns that ps(1) would print: those of `-ef` (nothing given), `aux`, and lists with `-o`.
 * @throws EngineError SYSTEM in ps's and dockerd's words
 */
export function columnsOf(psArgs: string): readonly Column[] {
  const text = psArgs.trim();
  if (text === '') return FULL;
  const [, list] = /^(?:-?[aAexw]*\s+)?-?[aAexw]*o\s*(\S+(?:\s*-o\s*\S+)*)$/.exec(text) ?? [];
  if (list !== undefined) {
    const columns = list
      .split(/\s*-o\s*|,/)
      .filter(Boolean)
      .map((specifier) => {
        const [name = '', title] = specifier.split('=');
        const known = SPECIFIERS[name.toLowerCase()];
        if (known === undefined) throw system(`ps: error: unknown user-defined format specifier "${name}"`);
        return title === undefined ? known : { ...known, title };
      });
    if (!columns.some(({ title }) => title === 'PID')) throw system("Couldn't find PID field in ps output");
    return columns;
  }
  if (/^-[aAexwf]*f[aAexwf]*$/.test(text)) return FULL;
  if (/^-?[axwu]*u[axwu]*$/.test(text)) return BSD;
  throw system(
    `ps: error: options ${JSON.stringify(text)} are not known to Gangway, which runs no ps: use -ef, aux, or -o`,
  );
}

/** `docker top`. @throws EngineError SYSTEM */
export function topRows(
  pids: readonly number[],
  psArgs: string,
): { Titles: string[]; Processes: string[][] } {
  const columns = columnsOf(psArgs);
  const names: Names = { users: readNames('/etc/passwd'), groups: readNames('/etc/group') };
  const rows = pids.flatMap((id) => {
    const process = readProcess(id);
    return process === undefined ? [] : [columns.map(({ value }) => value(process, names))];
  });
  return { Titles: columns.map(({ title }) => title), Processes: rows };
}

/** Of passwd(5) and group(5): both have the name first and the number third. */
function readNames(file: string): ReadonlyMap<number, string> {
  const names = new Map<number, string>();
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [name, , id] = line.split(':');
    if (name && id) names.set(Number(id), name);
  }
  return names;
}

const part = (value: number): string => String(Math.floor(value)).padStart(2, '0');

function clock(seconds: number): string {
  return `${part(seconds / 3600)}:${part((seconds / 60) % 60)}:${part(seconds % 60)}`;
}

function bsdClock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${part(seconds % 60)}`;
}

function elapsed(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const rest = clock(seconds % 86_400);
  return days > 0 ? `${days}-${rest}` : rest.replace(/^00:/, '');
}
