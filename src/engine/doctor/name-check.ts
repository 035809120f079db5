import type { Finding } from '../../model/finding.ts';
import type { HostLook } from './host-facts.ts';

/** A container waits that long for each name that is no container's. */
const SLOW_MS = 500;

/** The name servers that containers' questions go on to. */
export function checkNames({
  resolvers,
  resolversFrom,
}: Pick<HostLook, 'resolvers' | 'resolversFrom'>): readonly Finding[] {
  const dead = resolvers.filter(({ milliseconds }) => milliseconds === undefined);
  const all = dead.length === resolvers.length;
  const option = resolversFrom === '--dns';
  return resolvers.flatMap(({ address, milliseconds }): Finding[] => {
    if (milliseconds !== undefined && milliseconds <= SLOW_MS) return [];
    const slow = milliseconds !== undefined;
    return [
      {
        kind: slow ? 'resolver-slow' : 'resolver-dead',
        area: 'names',
        severity: !slow && all ? 'error' : 'warning',
        subject: address,
        sentence: slow
          ? `The name server ${address} takes ${milliseconds} ms for an answer.`
          : `The name server ${address} does not answer${all ? ', nor does another: containers find no name of the outside' : ''}.`,
        evidence: [
          `${resolversFrom} names it`,
          slow ? `". NS" was answered after ${milliseconds} ms` : '". NS" stayed without an answer for 2 s',
        ],
        fix: option
          ? ['# start gangwayd with another --dns']
          : [
              `# put a name server that answers into ${resolversFrom}`,
              `sudo sed -i '/^nameserver ${address.replaceAll('.', '\\.')}$/d' ${resolversFrom}`,
            ],
      },
    ];
  });
}
