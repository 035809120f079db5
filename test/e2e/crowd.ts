import type { ChildProcess } from 'node:child_process';
import type { Crowd, CrowdCounts, Target } from './crowd-traffic.ts';
import { CHECKOUT } from './engine-under-test.ts';
import type { Machine } from './machine.ts';
import { HOST } from './namespaces.ts';

/** Many real containers on some networks of one machine: `service-N` is on network N modulo `NETWORKS`. */
export const NETWORKS = 12;
const AT_ONCE = 8;
/** Every so many a port is published. */
const PUBLISHED_EVERY = 15;
const PORT = 9000;
const CONNECTIONS_A_SECOND = 50;

export interface Member {
  readonly name: string;
  readonly pid: number;
  readonly address: string;
  readonly published: number | undefined;
}

const networkOf = (n: number): string => `net-${n % NETWORKS}`;

/** @throws Error with what the daemon answered */
async function call(machine: Machine, method: string, path: string, body?: unknown): Promise<string> {
  const answer = await machine.api(method, path, body === undefined ? undefined : JSON.stringify(body));
  if (answer.status >= 400) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
  return answer.body;
}

/** Starts `count` containers by the API, several at once: no start of the docker command for each. */
export async function startCrowd(machine: Machine, count: number): Promise<Member[]> {
  await machine.dockerOk('pull', '-q', 'busybox');
  for (let n = 0; n < NETWORKS; n++) {
    await call(machine, 'POST', '/networks/create', { Name: networkOf(n), Driver: 'bridge' });
  }
  const members: Member[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const n = next++;
      members[n] = await startMember(machine, n);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return members;
}

async function startMember(machine: Machine, n: number): Promise<Member> {
  const name = `service-${n}`;
  const published = n % PUBLISHED_EVERY === 0 ? 10_000 + n : undefined;
  await call(machine, 'POST', `/containers/create?name=${name}`, {
    Image: 'busybox',
    Cmd: ['sleep', '10000'],
    ExposedPorts: { [`${PORT}/tcp`]: {} },
    HostConfig: {
      NetworkMode: networkOf(n),
      ...(published !== undefined && {
        PortBindings: { [`${PORT}/tcp`]: [{ HostPort: String(published) }] },
      }),
    },
  });
  await call(machine, 'POST', `/containers/${name}/start`);
  const { State, NetworkSettings } = JSON.parse(await call(machine, 'GET', `/containers/${name}/json`)) as {
    State: { Pid: number };
    NetworkSettings: { Networks: Record<string, { IPAddress: string }> };
  };
  const address = NetworkSettings.Networks[networkOf(n)]?.IPAddress ?? '';
  return { name, pid: State.Pid, address, published };
}

/** Removes them several at once, running or not. */
export async function removeCrowd(machine: Machine, members: readonly Member[]): Promise<void> {
  const left = [...members];
  const work = async (): Promise<void> => {
    for (let member = left.pop(); member !== undefined; member = left.pop()) {
      await call(machine, 'DELETE', `/containers/${member.name}?force=1`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/**
 * Traffic that never rests: containers of a network talk in pairs on connections that stay, 50 more connections a second
 * are made, one in ten of them from outside to a published port, and one in fifty to another network: it is dropped.
 */
export class CrowdTraffic {
  /** Containers that take part. */
  readonly talking: number;
  #latest: CrowdCounts | undefined;

  private constructor(child: ChildProcess, talking: number) {
    this.talking = talking;
    let rest = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      const last = lines.findLast((line) => line.startsWith('{'));
      if (last !== undefined) this.#latest = JSON.parse(last) as CrowdCounts;
    });
  }

  static async start(machine: Machine, members: readonly Member[]): Promise<CrowdTraffic> {
    const target = (from: number, { address }: Member): Target => ({ pid: from, address, port: PORT });
    const standing = members.flatMap((member, n) => {
      const other = members[n + NETWORKS];
      return Math.floor(n / NETWORKS) % 2 === 0 && other !== undefined ? [target(member.pid, other)] : [];
    });
    const published = members.flatMap((member) => member.published ?? []);
    const passing = Array.from({ length: CONNECTIONS_A_SECOND * 10 }, (_, n): Target => {
      if (n % 10 === 3) {
        const port = published[Math.floor(n / 10) % published.length] ?? 0;
        return { pid: machine.namespaces.outside, address: HOST, port };
      }
      // The one before is on another network.
      const from = (n * 7) % members.length;
      const to = members.at(from - (n % 50 === 7 ? 1 : NETWORKS));
      return { pid: members[from]?.pid ?? 0, address: to?.address ?? '', port: PORT };
    });
    const crowd: Crowd = {
      servers: members.map(({ pid }) => pid),
      port: PORT,
      standing,
      passing,
      rate: CONNECTIONS_A_SECOND,
    };
    const command = [process.execPath, `${CHECKOUT}test/e2e/crowd-traffic.ts`, JSON.stringify(crowd)];
    return new CrowdTraffic(await machine.spawnHelper(command, 'answered'), standing.length * 2);
  }

  get counts(): CrowdCounts {
    if (this.#latest === undefined) throw new Error('nobody talks');
    return this.#latest;
  }
}
