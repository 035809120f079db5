import { familyOf } from '../../model/address.ts';
import type { Obstacle } from '../hop.ts';
import type { ContainerFacts, Situation, WishedPort } from '../situation.ts';
import type { Verdict } from '../verdict.ts';

/** What is chosen when a container is made is changed by making it anew. */

/** Where the command that made the container says on which address to listen. */
export function listenEverywhere(
  situation: Situation,
  { where, others }: Extract<Obstacle, { kind: 'nothing-listens' }>,
): string | null {
  const container =
    where.kind === 'container' ? situation.containers.find(({ id }) => id === where.id) : undefined;
  const [listener] = others;
  if (container === undefined || listener === undefined) return null;
  const { address } = listener;
  const any = familyOf(address) === 'ipv4' ? '0.0.0.0' : '::';
  const command = container.command.map((word) => word.replaceAll(address, any).replaceAll('localhost', any));
  return command.join(' ') === container.command.join(' ') ? null : makeAnew({ ...container, command }, []);
}

/** A published port is chosen when a container is made: it is made anew. */
export function publish(
  situation: Situation,
  container: ContainerFacts,
  drop: WishedPort | undefined,
): string | null {
  const { asked } = situation;
  const port = drop?.containerPort ?? asked.port;
  if (port === undefined) return null;
  const protocol = asked.protocol === 'tcp' ? '' : `/${asked.protocol}`;
  const wished = container.wished.filter((each) => each !== drop);
  return makeAnew({ ...container, wished }, [`${drop?.hostPort || port}:${port}${protocol}`]);
}

/** @param more ports to publish beside those it has */
function makeAnew(container: ContainerFacts, more: readonly string[]): string {
  const ports = container.wished.map(({ hostIp, hostPort, containerPort, protocol }) => {
    const address = hostIp && `${hostIp.includes(':') ? `[${hostIp}]` : hostIp}:`;
    return `${address}${hostPort && `${hostPort}:`}${containerPort}/${protocol}`;
  });
  if (!container.plain) {
    const given = [...ports, ...more].map((each) => `-p ${each}`).join(' ');
    return `# make ${container.name} anew, with all its other options and: ${[given, ...container.command.map(quoted)].join(' ').trim()}`;
  }
  const options = [
    `--name ${container.name}`,
    ...container.networkOptions.map((option) => `--network ${option}`),
    ...[...ports, ...more].map((each) => `-p ${each}`),
  ];
  const command = container.command.map(quoted).join(' ');
  return `docker rm -f ${container.name} && docker run -d ${options.join(' ')} ${container.image} ${command}`.trim();
}

const quoted = (word: string): string =>
  /^[\w./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

export function republish(
  situation: Situation,
  { attempt }: Verdict,
  to: ContainerFacts | undefined,
): string | null {
  const port = attempt?.port;
  const container =
    to ??
    situation.containers.find(({ endpoints }) =>
      endpoints.some(({ published }) =>
        published.some(
          ({ hostPorts }) => port !== undefined && hostPorts.first <= port && port <= hostPorts.last,
        ),
      ),
    );
  const wish = container?.wished.find(
    (each) => each.hostPort === String(port) || each.containerPort === situation.asked.port,
  );
  return container === undefined || wish === undefined ? null : publish(situation, container, wish);
}
