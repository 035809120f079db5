import type { Chance } from './chance.ts';
import { HOST, HOST_SECOND, HOST6, OUTSIDE, OUTSIDE6 } from './namespaces.ts';
import type { Question } from './real-connection.ts';
import type { RunningContainer, RunningTopology } from './running-topology.ts';

/** No question twice. @param most how many, where there are as many */
export function randomQuestions(
  chance: Chance,
  { containers }: RunningTopology,
  most: number,
): readonly Question[] {
  const all = [...containers.values()];
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
  for (let tries = 0; questions.size < most && tries < most * 20; tries++) {
    const asker = chance.pick(askers);
    const question = randomQuestion(chance, asker, servers, published);
    if (question === undefined || isBeyond(containers, question) || isOwnName(containers, question)) continue;
    questions.set(JSON.stringify(question), question);
  }
  return [...questions.values()];
}

/**
 * Addresses that are reached over the router outside, if it hands them on: the model says nothing of what is beyond this
 * host, and that router hands nothing on.
 */
function isBeyond(containers: ReadonlyMap<string, RunningContainer>, { asker, address }: Question): boolean {
  const from = ownerOf(containers, asker);
  if (from?.router[address.includes(':') ? 'ipv6' : 'ipv4'] !== true) return false;
  const near = (network: string): boolean => from.macvlan.has(network);
  const isOnWire = [HOST, HOST_SECOND, HOST6].includes(address);
  if (isOnWire)
    return ![...from.macvlan.values()].flat().some((own) => isUplinks(own) && sameFamily(own, address));
  return [...containers.values()].some(({ macvlan }) =>
    [...macvlan].some(([network, addresses]) => addresses.includes(address) && !near(network)),
  );
}

const sameFamily = (a: string, b: string): boolean => a.includes(':') === b.includes(':');
const isUplinks = (address: string): boolean => /^198\.51\.100\.|^2001:db8:7:/.test(address);

/** That is in its /etc/hosts, which is not asked here. */
function isOwnName(containers: ReadonlyMap<string, RunningContainer>, { asker, address }: Question): boolean {
  return ownerOf(containers, asker)?.container.name === address;
}

/** In whose namespace a container is. */
function ownerOf(
  containers: ReadonlyMap<string, RunningContainer>,
  name: string,
): RunningContainer | undefined {
  const found = containers.get(name);
  const [, other] = /^container:(.*)$/.exec(found?.container.mode ?? '') ?? [];
  return other === undefined ? found : ownerOf(containers, other);
}

function randomQuestion(
  chance: Chance,
  asker: string,
  servers: readonly RunningContainer[],
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
