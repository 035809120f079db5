import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import type { Answer } from '../../src/explain/answer.ts';
import { CHECKOUT } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { HOST, HOST_SECOND, HOST6, OUTSIDE, OUTSIDE6 } from './namespaces.ts';
import { background, must, run, until } from './process.ts';
import { Chance, type RandomContainer, randomTopology, type Topology } from './random-topology.ts';
import type { Listener } from './traffic.ts';

/**
 * The model's verdict beside what a real connection does: random networks, containers and questions. WHY_SEED repeats a
 * run, WHY_ROUNDS and WHY_QUESTIONS change how much is asked.
 */
const SEED = Number(process.env.WHY_SEED ?? 20_261_124);
const ROUNDS = Number(process.env.WHY_ROUNDS ?? 3);
const QUESTIONS = Number(process.env.WHY_QUESTIONS ?? 360);
/** Milliseconds until a real connection counts as none; everything asked is on this machine, which may be busy. */
const PATIENCE = 1500;
/** Processes that ask at the same time. */
const AT_ONCE = 6;

interface Question {
  readonly asker: string;
  /** `icmp`: asked without a port. */
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  readonly address: string;
  readonly port: number;
}

interface Running {
  readonly container: RandomContainer;
  readonly pid: number;
  readonly addresses: readonly string[];
}

let asked = 0;
console.log(`WHY_SEED=${SEED}`);

for (const bridgeFirewall of ['1', '0']) {
  describe(`bridge-nf-call-iptables=${bridgeFirewall}`, () => {
    let machine: Machine;
    const helpers: ChildProcess[] = [];

    before(async () => {
      machine = await Machine.start({
        prepare: async (made) => {
          for (const name of ['iptables', 'ip6tables'])
            await made.host(['sysctl', '-qw', `net.bridge.bridge-nf-call-${name}=${bridgeFirewall}`]);
        },
      });
      await machine.dockerOk('pull', '-q', 'busybox');
      const everywhere = [
        { protocol: 'tcp', port: 7000 },
        { protocol: 'udp', port: 7053, address: '0.0.0.0' },
      ] as const;
      await machine.serve(machine.namespaces.outside, 'outside', everywhere);
      await machine.serve(machine.namespaces.machine, 'host', [
        { protocol: 'tcp', port: 9000 },
        { protocol: 'tcp', port: 9001, address: '127.0.0.1' },
        { protocol: 'udp', port: 9053, address: '0.0.0.0' },
      ]);
    });
    after(() => machine.close());

    for (let round = 0; round < ROUNDS; round++) {
      const seed = SEED * 100 + Number(bridgeFirewall) * 50 + round;
      test(`round ${round + 1}, seed ${seed}`, async () => {
        const chance = new Chance(seed);
        const topology = randomTopology(chance, `${round}`);
        try {
          const running = await build(machine, topology, helpers);
          const questions = chooseQuestions(chance, machine, running);
          const wrong = await compare(machine, running, questions);
          asked += questions.length;
          assert.equal(
            wrong.length,
            0,
            `${wrong.length} of ${questions.length} differ, WHY_SEED=${SEED}:\n${wrong.slice(0, 12).join('\n')}\n${describeTopology(topology, running)}`,
          );
        } finally {
          for (const helper of helpers.splice(0)) helper.kill('SIGKILL');
          await takeDown(machine, topology);
        }
      });
    }
  });
}

test('that were many questions', () => {
  assert.ok(asked >= Math.min(2000, ROUNDS * 2 * QUESTIONS), `${asked} questions`);
  console.log(`${asked} questions asked`);
});

async function api<T>(machine: Machine, method: string, path: string, body?: object): Promise<T> {
  const answer = await machine.api(method, path, body && JSON.stringify(body));
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
  return (answer.body === '' ? undefined : JSON.parse(answer.body)) as T;
}

interface Inspected {
  readonly State: { readonly Pid: number };
  readonly NetworkSettings: {
    readonly Networks: Readonly<
      Record<string, { readonly IPAddress: string; readonly GlobalIPv6Address: string }>
    >;
  };
}

async function build(
  machine: Machine,
  { networks, containers }: Topology,
  helpers: ChildProcess[],
): Promise<Map<string, Running>> {
  for (const { body } of networks) await api(machine, 'POST', '/networks/create', body);
  const running = new Map<string, Running>();
  for (const container of containers) {
    const { name, mode, published } = container;
    const [first = 'bridge'] = container.networks;
    await api(machine, 'POST', `/containers/create?name=${name}`, {
      Image: 'busybox',
      Cmd: ['sleep', '1000'],
      ExposedPorts: Object.fromEntries(published.map(({ key }) => [key, {}])),
      HostConfig: {
        NetworkMode: mode === 'networks' ? first : mode,
        PortBindings: Object.fromEntries(published.map(({ key, ...binding }) => [key, [binding]])),
      },
      NetworkingConfig: {
        EndpointsConfig: Object.fromEntries(container.networks.map((network) => [network, {}])),
      },
    });
    await api(machine, 'POST', `/containers/${name}/start`);
    const inspected = await api<Inspected>(machine, 'GET', `/containers/${name}/json`);
    const addresses = Object.values(inspected.NetworkSettings.Networks).flatMap(
      ({ IPAddress, GlobalIPv6Address }) => [IPAddress, GlobalIPv6Address].filter(Boolean),
    );
    running.set(name, { container, pid: inspected.State.Pid, addresses });
  }
  await Promise.all([...running.values()].map((each) => serve(each, helpers)));
  for (const { name, state } of containers) {
    if (state === 'paused') await api(machine, 'POST', `/containers/${name}/pause`);
    if (state === 'stopped') await api(machine, 'POST', `/containers/${name}/kill`);
  }
  for (const { name, state } of containers) {
    if (state !== 'stopped') continue;
    await until(`${name} to be gone`, async () => {
      const { State } = await api<Inspected>(machine, 'GET', `/containers/${name}/json`);
      return State.Pid === 0 || undefined;
    });
  }
  const outside = [...running.values()].flatMap(({ addresses }) => addresses);
  const routes = outside.map((address) =>
    address.includes(':')
      ? `ip -6 route replace ${address}/128 via ${HOST6}`
      : `ip route replace ${address}/32 via ${HOST}`,
  );
  await must(machine.inOutside(['sh', '-ec', routes.join('\n')]));
  return running;
}

/** The test's own servers, in the container's namespace; those of a paused container must not answer for it. */
async function serve({ container, pid, addresses }: Running, helpers: ChildProcess[]): Promise<void> {
  if (container.state === 'stopped') return;
  const listeners = container.listeners.flatMap(({ protocol, port, at }): Listener[] => {
    const address = at === 'own' ? addresses[0] : at;
    return address === undefined ? [] : [{ protocol, port, address }];
  });
  if (listeners.length === 0) return;
  const command = [
    'nsenter',
    '-t',
    String(pid),
    '-n',
    process.execPath,
    `${CHECKOUT}test/e2e/traffic.ts`,
    'serve',
  ];
  const helper = await background([...command, JSON.stringify(listeners), container.name], 'SERVING');
  helpers.push(helper);
  if (container.state === 'paused') helper.kill('SIGSTOP');
}

async function takeDown(machine: Machine, { networks, containers }: Topology): Promise<void> {
  for (const { name } of [...containers].reverse()) {
    await machine.api('DELETE', `/containers/${name}?force=1`);
  }
  for (const { name } of networks) await machine.api('DELETE', `/networks/${name}`);
}

function chooseQuestions(
  chance: Chance,
  _machine: Machine,
  running: Map<string, Running>,
): readonly Question[] {
  const all = [...running.values()];
  const askers = [
    'host',
    'outside',
    ...all.filter(({ container }) => container.state === 'running').map(({ container }) => container.name),
  ];
  const published = all.flatMap(({ container }) =>
    container.published.map(({ key, HostPort }) => ({
      port: Number(HostPort),
      protocol: key.endsWith('udp') ? ('udp' as const) : ('tcp' as const),
    })),
  );
  const servers = all.filter(({ addresses }) => addresses.length > 0);
  const questions = new Map<string, Question>();
  for (let tries = 0; questions.size < QUESTIONS && tries < QUESTIONS * 20; tries++) {
    const question = randomQuestion(chance, chance.pick(askers), servers, published);
    if (question !== undefined) questions.set(JSON.stringify(question), question);
  }
  return [...questions.values()];
}

function randomQuestion(
  chance: Chance,
  asker: string,
  servers: readonly Running[],
  published: readonly { readonly port: number; readonly protocol: 'tcp' | 'udp' }[],
): Question | undefined {
  const service = () =>
    chance.pick(
      [80, 81, 82, 83, 5300].map((port) => ({
        port,
        protocol: port === 5300 ? ('udp' as const) : ('tcp' as const),
      })),
    );
  const roll = chance.next();
  if (roll < 0.05)
    return { asker, address: chance.pick(chance.pick(servers).addresses), port: 0, protocol: 'icmp' };
  if (roll < 0.45) return { asker, address: chance.pick(chance.pick(servers).addresses), ...service() };
  if (roll < 0.6 && asker !== 'host' && asker !== 'outside') {
    return { asker, address: chance.pick(servers).container.name, ...service() };
  }
  if (roll < 0.93) {
    const local = asker === 'host' ? ['127.0.0.1', '::1'] : [];
    const address = chance.pick([HOST, HOST_SECOND, HOST6, '172.17.0.1', ...local, ...local]);
    const own = [
      { port: 9000, protocol: 'tcp' },
      { port: 9001, protocol: 'tcp' },
      { port: 9053, protocol: 'udp' },
      { port: 8999, protocol: 'tcp' },
    ] as const;
    // The host outside has no way to a bridge's own address.
    if (asker === 'outside' && address === '172.17.0.1') return undefined;
    return {
      asker,
      address,
      ...(published.length === 0 || chance.whether(0.2) ? chance.pick(own) : chance.pick(published)),
    };
  }
  if (asker === 'outside') return undefined;
  return chance.whether(0.7)
    ? { asker, address: chance.pick([OUTSIDE, OUTSIDE6]), port: 7000, protocol: 'tcp' }
    : { asker, address: OUTSIDE, port: 7053, protocol: 'udp' };
}

function toText({ address, port, protocol }: Question): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return protocol === 'icmp' ? address : `${host}:${port}/${protocol}`;
}

async function compare(
  machine: Machine,
  running: Map<string, Running>,
  questions: readonly Question[],
): Promise<string[]> {
  const answers = new Map<Question, Answer>();
  for (const question of questions) answers.set(question, await askModel(machine, question));
  const real = await askReal(machine, running, questions);
  const differing = questions.filter((question) => !agree(answers.get(question), real.get(question)));
  // A busy machine may have been late: what differs is asked again, alone.
  const again = await askReal(machine, running, differing, PATIENCE * 2);
  return differing
    .filter((question) => !agree(answers.get(question), again.get(question)))
    .map((question) => {
      const answer = answers.get(question);
      const way = answer?.steps.map(({ kind, detail }) => `      ${kind}: ${detail}`).join('\n');
      return `  ${question.asker} ${toText(question)}: real ${again.get(question)}, model ${answer?.reachable} ${answer?.cause} ${answer?.sentence}\n${way}`;
    });
}

async function askModel(machine: Machine, question: Question): Promise<Answer> {
  const query = new URLSearchParams({ from: question.asker, to: toText(question), probe: '0' });
  return api<Answer>(machine, 'GET', `/gangway/why?${query}`);
}

async function askReal(
  machine: Machine,
  running: Map<string, Running>,
  questions: readonly Question[],
  patience = PATIENCE,
): Promise<Map<Question, string>> {
  const found = new Map<Question, string>();
  const groups = [...Map.groupBy(questions, ({ asker }) => asker)];
  const worker = async (): Promise<void> => {
    for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
      const [asker, list] = group;
      const pid = pidOf(machine, running, asker);
      const command = [
        'nsenter',
        '-t',
        String(pid),
        '-n',
        process.execPath,
        `${CHECKOUT}test/e2e/traffic.ts`,
        'ask',
      ];
      const pings = list.filter(({ protocol }) => protocol === 'icmp');
      for (const question of pings) found.set(question, await ping(pid, question.address));
      const connections = list.filter(({ protocol }) => protocol !== 'icmp');
      const targets = connections.map(({ protocol, address, port }) => ({ protocol, address, port }));
      const answers = JSON.parse(
        await must([...command, JSON.stringify(targets), String(patience)]),
      ) as string[];
      for (const [i, question] of connections.entries()) found.set(question, answers[i] ?? '-');
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return found;
}

async function ping(pid: number, address: string): Promise<string> {
  const family = address.includes(':') ? '-6' : '-4';
  const command = [
    'nsenter',
    '-t',
    String(pid),
    '-n',
    'busybox',
    'ping',
    family,
    '-c',
    '1',
    '-W',
    '1',
    address,
  ];
  return (await run(command)).status === 0 ? 'ping' : '-';
}

function pidOf(machine: Machine, running: Map<string, Running>, asker: string): number {
  if (asker === 'host') return machine.namespaces.machine;
  if (asker === 'outside') return machine.namespaces.outside;
  return running.get(asker)?.pid ?? 0;
}

/** Reached or not, and when reached: by whom it is answered, and as whom the asker is seen there. */
function agree(answer: Answer | undefined, real: string | undefined): boolean {
  if (answer === undefined || real === undefined) return false;
  if (real === '-') return !answer.reachable;
  if (!answer.reachable) return false;
  if (real === 'ping') return true;
  const [server = '', client] = real.split(' ');
  const last = <T>(kind: string, of: (step: Answer['steps'][number]) => T): T | undefined => {
    const step = answer.steps.findLast((each) => each.kind === kind);
    return step && of(step);
  };
  const where = last('listener', ({ detail }) => /^in (?:the )?([^:]+):/.exec(detail)?.[1]);
  // Beyond this host the model says nothing of who answers; the source it leaves with is the last one.
  if (where === undefined) return server === 'outside';
  return where === server && last('answer', ({ to }) => to) === client;
}

function describeTopology({ networks }: Topology, running: Map<string, Running>): string {
  return [
    ...networks.map(({ body }) => JSON.stringify(body)),
    ...[...running.values()].map(
      ({ container, addresses }) => `${JSON.stringify(container)} ${addresses.join(' ')}`,
    ),
  ].join('\n');
}
