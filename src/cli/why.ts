import type { Answer, ProbeAnswer } from '../explain/answer.ts';
import type { WayStep } from '../explain/words/hops.ts';
import type { ApiFailure } from './api-client.ts';

/** Columns of the picture. */
const WIDTH = 80;
const LABEL = 9;

export const WHY_HELP = `
Examples:
  gangway why web db:3306          by the name that web would ask for
  gangway why web db:53/udp        tcp, udp or sctp
  gangway why web db               whether packets arrive at all
  gangway why outside web:80       a client of the network the host is on, by the published port
  gangway why host web:80          a program on the host
  gangway why web internet         the way out
  gangway why web 10.1.0.7:5432    any address

Exit status: 0 it is reached, 1 it is not, 2 the question is not understood, 3 the daemon does not answer.
Every cause is explained in docs/why.md.`;

/** For scripts. */
export function exitStatusOf(outcome: Answer | ApiFailure): 0 | 1 | 2 | 3 {
  if ('reachable' in outcome) return outcome.reachable ? 0 : 1;
  return outcome.status === 400 || outcome.status === 404 ? 2 : 3;
}

/** The path to ask the daemon by. */
export function whyPath(from: string, to: string, probe: boolean): string {
  const query = new URLSearchParams({ from, to, ...(probe ? {} : { probe: '0' }) });
  return `/gangway/why?${query}`;
}

/** The answer first, then the way hop by hop, then what a live packet did, then what to change. */
export function formatAnswer(answer: Answer): string {
  const { sentence, steps, probe, agrees, fix } = answer;
  const parts = [fold(sentence, WIDTH).join('\n')];
  if (steps.length > 0) parts.push(picture(steps).join('\n'));
  if (probe !== null) parts.push(probeText(probe, agrees));
  if (fix !== null) parts.push(`To change it:\n  ${fix}`);
  return parts.join('\n\n');
}

function picture(steps: readonly WayStep[]): string[] {
  let back = false;
  const lines: string[] = [];
  for (const { kind, detail } of steps) {
    if (kind === 'answer' || kind === 'follow') back = kind === 'answer';
    const ends = kind === 'drop' || kind === 'stop';
    const rail = ends ? '✗' : back ? '▲' : '│';
    const [first = '', ...rest] = fold(detail, WIDTH - LABEL - 6);
    lines.push(`  ${rail}  ${kind.padEnd(LABEL)} ${first}`);
    for (const line of rest) lines.push(`  ${ends ? ' ' : rail}  ${''.padEnd(LABEL)} ${line}`);
  }
  return lines;
}

function probeText({ reachable, cause, steps }: ProbeAnswer, agrees: boolean | null): string {
  if (agrees === null) return fold(`A live packet cannot tell: ${steps.at(-1)?.detail}.`, WIDTH).join('\n');
  const did = reachable ? 'was answered' : `was not answered${cause === null ? '' : ` (${cause})`}`;
  const judgement = agrees ? 'as the model says' : 'AGAINST what the model says';
  return [...fold(`A live packet ${did}, ${judgement}.`, WIDTH), ...(agrees ? [] : picture(steps))].join(
    '\n',
  );
}

/** Lines of at most that many columns; a longer word stands alone. */
export function fold(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
