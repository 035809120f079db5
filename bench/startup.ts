import { once } from 'node:events';
import { background, must, sleep, until } from '../test/e2e/process.ts';
import { CHECKOUT, Contestant, HOST } from './contestant.ts';
import { milliseconds } from './figures.ts';

const NETWORKS = 50;
const CONTAINERS = 200;
const LOAD = [process.execPath, `${CHECKOUT}bench/load.ts`];
/** Docker's own pools end at 31 networks. */
const POOL = ['--default-address-pool', 'base=10.200.0.0/16,size=24'];

export interface StartUp {
  /** Milliseconds from kill -9 until the API lists every container. */
  readonly time: number;
  /** Requests of a client on a published port, one after the other, before, while and after. */
  readonly answered: number;
  readonly failed: number;
  /** Milliseconds of the longest of them. */
  readonly longest: number;
  /** TCP segments the client's host had to send again. */
  readonly again: number;
}

/** An engine of its own with 200 running containers on 50 networks, that can be killed and started again. */
export async function startCrowd(name: string): Promise<{
  readonly killAndStart: () => Promise<StartUp>;
  readonly end: () => Promise<void>;
}> {
  // Without live-restore dockerd takes its containers down with it; Gangway never does.
  const engine =
    name === 'dockerd'
      ? new Contestant('dockerd', 'crowd', [...POOL, '--live-restore'])
      : new Contestant('gangway', 'crowd', POOL);
  try {
    await engine.start();
    for (let index = 0; index < NETWORKS; index++) {
      await engine.api.call('POST', '/networks/create', { Name: `net-${index}`, Driver: 'bridge' });
    }
    for (let index = 0; index < CONTAINERS; index++) await runContainer(engine, index);
    const pid = Number(await engine.dockerOk('inspect', '-f', '{{.State.Pid}}', 'many-0'));
    const server = await background([...engine.inside(pid), ...LOAD, 'serve', '9000'], 'SERVING');
    return {
      killAndStart: () => killAndStart(engine),
      end: async () => {
        server.kill('SIGKILL');
        await engine.stop();
      },
    };
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

/** With a client outside that asks on a published port from a second before until a second after. */
async function killAndStart(engine: Contestant): Promise<StartUp> {
  const before = await segmentsSentAgain(engine);
  const client = await background([...engine.inside('outside'), ...LOAD, 'steady', HOST, '9000'], 'ASKING');
  let said = '';
  client.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await sleep(1000);
  const time = await milliseconds(async () => {
    await engine.killAndStart();
    await until(`every container of ${engine.name}`, () => everyContainer(engine), 120);
  });
  await sleep(1000);
  const ended = once(client, 'close');
  client.kill('SIGTERM');
  await ended;
  const counted = JSON.parse(said) as Omit<StartUp, 'time' | 'again'>;
  return { time, ...counted, again: (await segmentsSentAgain(engine)) - before };
}

async function runContainer({ api }: Contestant, index: number): Promise<void> {
  await api.call('POST', `/containers/create?name=many-${index}`, {
    Image: 'busybox',
    Cmd: ['sleep', '10000'],
    HostConfig: {
      NetworkMode: `net-${index % NETWORKS}`,
      PortBindings: { '9000/tcp': [{ HostPort: String(9000 + index) }] },
    },
    ExposedPorts: { '9000/tcp': {} },
  });
  await api.call('POST', `/containers/many-${index}/start`);
}

async function everyContainer({ api }: Contestant): Promise<true | undefined> {
  try {
    const list = (await api.call('GET', '/containers/json')) as readonly unknown[];
    return list.length === CONTAINERS || undefined;
  } catch {
    return undefined;
  }
}

/** `RetransSegs` of RFC 4022 in the namespace of the host outside. */
async function segmentsSentAgain(engine: Contestant): Promise<number> {
  const text = await must([...engine.inside('outside'), 'cat', '/proc/net/snmp']);
  const [names = '', values = ''] = text.split('\n').filter((line) => line.startsWith('Tcp:'));
  return Number(values.split(' ')[names.split(' ').indexOf('RetransSegs')]);
}
