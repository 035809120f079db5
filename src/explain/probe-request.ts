import type { NetnsPath } from '../model/address.ts';
import type { ProbeRequest, ProbeTarget } from '../model/probe.ts';
import type { ProbeNames } from './probe-steps.ts';
import { type ContainerFacts, holderOf, type Situation, sandboxOwner } from './situation.ts';
import type { Verdict } from './verdict.ts';

export interface PlannedProbe {
  readonly request: ProbeRequest;
  readonly names: ProbeNames;
  /**
   * It comes in by a wire of its own, from another address than a client of the uplink's network has: a rule of others
   * that asks for the interface or the source does not see it.
   */
  readonly byOtherWire: boolean;
}

/**
 * The packet that goes the way the model looked at. Undefined where none can prove anything: there is nobody to send to,
 * a name is what fails, or the kernel answers for a program that is paused.
 */
export function planProbe(
  situation: Situation,
  { plan, attempt, cause }: Verdict,
  sandboxOf: (containerId: string) => NetnsPath | undefined,
): PlannedProbe | undefined {
  const { from, to } = plan;
  if (attempt === undefined || plan.nameMissing || cause === 'container-paused') return undefined;
  // What stands for the internet is an address where nobody is.
  if (to.kind === 'outside') return undefined;
  // Only that one can send with its address.
  if (from.kind === 'outside' && from.address !== undefined) return undefined;
  const target = targetOf(situation, attempt);
  if (target === undefined) return undefined;
  const netnsOf = (container: ContainerFacts): NetnsPath | 'host' | undefined => {
    const owner = sandboxOwner(situation, container);
    return owner === undefined ? 'host' : sandboxOf(owner.id);
  };
  const sender = from.kind === 'container' ? netnsOf(from.container) : from.kind;
  if (sender === undefined) return undefined;
  const asked = to.kind === 'container' ? to.container : holderOf(situation, attempt.address);
  const toNetns = asked && netnsOf(asked);
  return {
    request: {
      from: sender,
      to: target,
      ...(toNetns !== undefined && toNetns !== 'host' && { toNetns }),
    },
    byOtherWire: sender === 'outside',
    names: {
      from:
        from.kind === 'container' ? from.container.name : from.kind === 'host' ? 'the host' : 'the client',
      to: asked?.name ?? attempt.address,
    },
  };
}

/** SCTP is not probed. */
function targetOf(
  { asked }: Situation,
  { address, port }: NonNullable<Verdict['attempt']>,
): ProbeTarget | undefined {
  if (port === undefined) return { protocol: 'icmp', address };
  const { protocol } = asked;
  return protocol === 'sctp' ? undefined : { protocol, address, port };
}
