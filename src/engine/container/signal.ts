import { constants } from 'node:os';
import { invalid } from '../../model/errors.ts';

const NUMBERS = constants.signals as Readonly<Record<string, number>>;
const RTMIN = 34;
const RTMAX = 64;

/** `SIGTERM`, `term` or `15`; also `RTMIN+3`. @throws EngineError INVALID_PARAMETER `invalid signal: X` */
export function parseSignal(text: string): number {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    if (number >= 1 && number <= RTMAX) return number;
    throw invalid(`invalid signal: ${text}`);
  }
  const name = text.toUpperCase().replace(/^SIG/, '');
  const [, base, sign, offset = '0'] = /^(RTMIN|RTMAX)(?:([+-])(\d+))?$/.exec(name) ?? [];
  if (base !== undefined) {
    const number = (base === 'RTMIN' ? RTMIN : RTMAX) + (sign === '-' ? -Number(offset) : Number(offset));
    if (number >= RTMIN && number <= RTMAX) return number;
  }
  const number = NUMBERS[`SIG${name}`];
  if (number === undefined) throw invalid(`invalid signal: ${text}`);
  return number;
}
