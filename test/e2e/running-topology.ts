import type { ChildProcess } from 'node:child_process';
import { CHECKOUT } from './engine-under-test.ts';
import type { Machine } from './machine.ts';
import { HOST, HOST6, OUTSIDE, OUTSIDE6 } from './namespaces.ts';
import { background, must, until } from './process.ts';
import { type RandomContainer, ROUTERS, type Topology } from './random-topology.ts';
import { inNamespace } from './real-connection.ts';
import type { Listener } from './traffic.ts';

/** A random topology that was made on a machine, with the test's own servers in its containers. */
export interface RunningTopology {
  readonly topology: Topology;
  readonly containers: ReadonlyMap<string, RunningContainer>;
  /** The test's servers. */
  readonly servers: readonly ChildProcess[];
}

export interface RunningContainer {
  readonly container: RandomContainer;
  /** 0 when it does not run. */
  readonly pid: number;
  /** Of its networks, in their order. */
  readonly addresses: readonly string[];
  /** Those on macvlan networks, by network. */
  readonly macvlan: ReadonlyMap<string, readonly string[]>;
  /** Families whose default route leads to the host outside, over a macvlan. */
  readonly router: { readonly ipv4: boolean; readonly ipv6: boolean };
}

export async function api<T>(machine: Machine, method: string, path: string, body?: object): Promise<T> {
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

/** The host outside knows a way to every container; where it is a neighbour it needs none. */
export async function buildTopology(machine: Machine, topology: Topology): Promise<RunningTopology> {
  const { networks, containers } = topology;
  for (const { body } of networks) await api(machine, 'POST', '/networks/create', body);
  const macvlans = new Set(networks.filter(({ parent }) => parent !== undefined).map(({ name }) => name));
  const running = new Map<string, RunningContainer>();
  for (const container of containers) {
    running.set(container.name, await start(machine, container, macvlans));
  }
  const servers = await Promise.all([...running.values()].map(serve));
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
  const routes = [...running.values()].flatMap(({ addresses, macvlan }) => {
    const near = new Set([...macvlan.values()].flat());
    return addresses
      .filter((address) => !near.has(address))
      .map((address) =>
        address.includes(':')
          ? `ip -6 route replace ${address}/128 via ${HOST6} src ${OUTSIDE6}`
          : `ip route replace ${address}/32 via ${HOST} src ${OUTSIDE}`,
      );
  });
  await must(machine.inOutside(['sh', '-ec', routes.join('\n')]));
  return { topology, containers: running, servers: servers.filter((each) => each !== undefined) };
}

async function start(
  machine: Machine,
  container: RandomContainer,
  macvlans: ReadonlySet<string>,
): Promise<RunningContainer> {
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
  const { State, NetworkSettings } = await api<Inspected>(machine, 'GET', `/containers/${name}/json`);
  const byNetwork = Object.entries(NetworkSettings.Networks).map(
    ([network, { IPAddress, GlobalIPv6Address }]) =>
      [network, [IPAddress, GlobalIPv6Address].filter(Boolean)] as const,
  );
  const show = (family: string): Promise<string> =>
    must(inNamespace(State.Pid, ['ip', family, 'route', 'show', 'default']));
  const leadsOut = (route: string): boolean =>
    mode !== 'host' && ROUTERS.some((router) => route.includes(` via ${router} `));
  return {
    container,
    pid: State.Pid,
    addresses: byNetwork.flatMap(([, addresses]) => addresses),
    macvlan: new Map(byNetwork.filter(([network]) => macvlans.has(network))),
    router: { ipv4: leadsOut(await show('-4')), ipv6: leadsOut(await show('-6')) },
  };
}

/** The test's own servers, in the container's namespace; those of a paused container must not answer for it. */
async function serve({ container, pid, addresses }: RunningContainer): Promise<ChildProcess | undefined> {
  if (container.state === 'stopped') return undefined;
  const listeners = container.listeners.flatMap(({ protocol, port, at }): Listener[] => {
    const address = at === 'own' ? addresses[0] : at;
    return address === undefined ? [] : [{ protocol, port, address }];
  });
  if (listeners.length === 0) return undefined;
  const program = [process.execPath, `${CHECKOUT}test/e2e/traffic.ts`, 'serve'];
  const command = inNamespace(pid, [...program, JSON.stringify(listeners), container.name]);
  const server = await background(command, 'SERVING');
  if (container.state === 'paused') server.kill('SIGSTOP');
  return server;
}

/** What of it is there, also after a part of it could not be made. */
export async function takeDown(machine: Machine, { networks, containers }: Topology): Promise<void> {
  for (const { name } of [...containers].reverse()) {
    await machine.api('DELETE', `/containers/${name}?force=1`);
  }
  for (const { name } of networks) await machine.api('DELETE', `/networks/${name}`);
}

export const describeTopology = ({ topology, containers }: RunningTopology): string =>
  [
    ...topology.networks.map(({ body }) => JSON.stringify(body)),
    ...[...containers.values()].map(
      ({ container, addresses }) => `${JSON.stringify(container)} ${addresses.join(' ')}`,
    ),
  ].join('\n');
