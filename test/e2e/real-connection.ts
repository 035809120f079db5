import type { WayStep } from '../../src/explain/words/hops.ts';
import { CHECKOUT } from './engine-under-test.ts';
import { must, run } from './process.ts';

/** How real connections are asked for: from inside the asker's network namespace, many at once. */

/** Milliseconds until a real connection counts as none; everything asked is on this machine, which may be busy. */
export const PATIENCE = 1500;
/** Processes that ask at the same time. */
export const AT_ONCE = 6;

export interface Question {
  readonly asker: string;
  /** `icmp`: asked without a port. */
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  readonly address: string;
  readonly port: number;
}

export function questionText({ address, port, protocol }: Omit<Question, 'asker'>): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return protocol === 'icmp' ? address : `${host}:${port}/${protocol}`;
}

/** Inside the network namespace of a process. */
export const inNamespace = (pid: number, command: readonly string[]): string[] => [
  ...['nsenter', '-t', String(pid), '-n'],
  ...command,
];

/** `ping`, `NAME CLIENT SERVER_PORT` of who answered, `-` where nobody did. @param pidOf process in the asker's namespace */
export async function askReal<Q extends Question>(
  questions: readonly Q[],
  pidOf: (question: Q) => number,
  patience = PATIENCE,
): Promise<Map<Q, string>> {
  const found = new Map<Q, string>();
  const groups = [...Map.groupBy(questions, pidOf)];
  const worker = async (): Promise<void> => {
    for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
      const [pid, list] = group;
      const pings = list.filter(({ protocol }) => protocol === 'icmp');
      const connections = list.filter(({ protocol }) => protocol !== 'icmp');
      const [, answers] = await Promise.all([
        Promise.all(pings.map(async (each) => found.set(each, await ping(pid, each.address)))),
        connect(pid, connections, patience),
      ]);
      for (const [i, question] of connections.entries()) found.set(question, answers[i] ?? '-');
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return found;
}

async function connect(
  pid: number,
  connections: readonly Question[],
  patience: number,
): Promise<readonly string[]> {
  if (connections.length === 0) return [];
  const targets = connections.map(({ protocol, address, port }) => ({ protocol, address, port }));
  const program = [process.execPath, `${CHECKOUT}test/e2e/traffic.ts`, 'ask'];
  const command = inNamespace(pid, [...program, JSON.stringify(targets), String(patience)]);
  return JSON.parse(await must(command)) as string[];
}

async function ping(pid: number, address: string): Promise<string> {
  const family = address.includes(':') ? '-6' : '-4';
  const command = ['busybox', 'ping', family, '-c', '1', '-W', '1', address];
  return (await run(inNamespace(pid, command))).status === 0 ? 'ping' : '-';
}

/** Reached or not, and when reached: by whom it is answered, and as whom the asker is seen there. */
export function agrees(
  verdict: { readonly reachable: boolean; readonly steps: readonly WayStep[] } | undefined,
  real: string | undefined,
): boolean {
  if (verdict === undefined || real === undefined) return false;
  if (real === '-') return !verdict.reachable;
  if (!verdict.reachable) return false;
  if (real === 'ping') return true;
  const [server = '', client] = real.split(' ');
  const last = (kind: WayStep['kind']): WayStep | undefined =>
    verdict.steps.findLast((step) => step.kind === kind);
  const where = /^in (?:the )?([^:]+):/.exec(last('listener')?.detail ?? '')?.[1];
  // Beyond this host the model says nothing of who answers.
  if (where === undefined) return server === 'outside';
  return where === server && last('answer')?.to === client;
}
