import { formatPrefix, formatSocketAddress } from '../../model/address.ts';
import type { Place, Step } from '../step.ts';

/** Who sends. */
export const ACTORS: Readonly<Record<'outside' | 'host', string>> = {
  outside: 'a client outside',
  host: 'a program on the host',
};

export interface StepWords {
  readonly label: string;
  readonly lines: readonly string[];
}

/** A step in words: the one place where sentences are made. */
export function stepWords(step: Step): StepWords {
  switch (step.kind) {
    case 'send':
      return { label: 'asks for', lines: [`${asked(step.to)}/${step.protocol}`] };
    case 'dnat':
      return {
        label: 'DNAT',
        lines: [`${asked(step.from)} becomes ${place(step.to)}`, `(rule ${step.rule})`],
      };
    case 'route':
      return {
        label: 'route',
        lines: [`${step.to} is in ${formatPrefix(step.subnet)}, behind ${step.device}`],
      };
    case 'accept':
      return { label: 'forward', lines: [`let through (rule ${step.rule})`] };
    case 'drop':
      return { label: 'dropped', lines: [`by rule ${step.rule}`] };
    case 'source-kept':
      return { label: 'source', lines: ["stays the client's: the container sees who asks"] };
    case 'masquerade':
      return { label: 'source', lines: [`becomes ${step.to} (rule ${step.rule})`] };
    case 'link':
      return {
        label: 'switch',
        lines: [`${step.from}, out at its port ${step.through}`, `to ${step.to} in ${step.container}`],
      };
    case 'deliver':
      return { label: '', lines: [`${place(step.to)}/${step.protocol}`] };
    case 'answer':
      return {
        label: 'answer',
        lines: [
          step.gateway === undefined
            ? `out at ${step.device}`
            : `out at ${step.device} to the gateway ${step.gateway}`,
        ],
      };
    case 'restore':
      return { label: 'un-DNAT', lines: [`source ${place(step.from)} becomes ${asked(step.to)} again`] };
  }
}

function place({ address, ports }: Place): string {
  const range = ports.first === ports.last ? `${ports.first}` : `${ports.first}-${ports.last}`;
  return formatSocketAddress(address, range);
}

/** `0.0.0.0` and `::` stand for every address of the host. */
function asked(to: Place): string {
  return place(to).replace(/^(?:0\.0\.0\.0|\[::\]):/, 'HOST:');
}
