import { h } from './elements.ts';
import type { WhyAnswer, WhyStep } from './ways.ts';
import { plural } from './words.ts';

/** The answer first, then its steps, then what to do. */
export function showAnswer(root: HTMLElement, answer: WhyAnswer, from: string, to: string): void {
  const verdict = h('p', `verdict ${answer.reachable ? 'good' : 'bad'}`, answer.sentence);
  const steps = answer.steps ?? [];
  const turn = steps.findIndex(({ kind }) => kind === 'answer');
  const there = turn < 0 ? steps : steps.slice(0, turn);
  const back = turn < 0 ? [] : steps.slice(turn);
  const fixes = answer.fix === undefined || answer.fix === null ? [] : [answer.fix].flat();
  root.replaceChildren(
    verdict,
    ...(answer.reachable || !answer.cause ? [] : [h('p', 'cause mono', answer.cause)]),
    ...(fixes.length > 0 ? [h('h3', '', 'What to change'), ...fixes.map((fix) => h('pre', '', fix))] : []),
    ...(there.length > 0 ? [h('h3', '', 'The way'), h('ol', 'steps', ...there.map(stepLine))] : []),
    ...(back.length > 0 ? [wayBack(back)] : []),
    h('p', 'quiet', 'The same with a live packet as proof: ', h('code', '', `gangway why ${from} ${to}`)),
  );
}

function wayBack(steps: readonly WhyStep[]): HTMLElement {
  const summary = h('summary', '', `The way back, ${plural(steps.length, 'step')}`);
  return h('details', '', summary, h('ol', 'steps', ...steps.map(stepLine)));
}

function stepLine(step: WhyStep): HTMLElement {
  const [from, to] = [place(step.from), place(step.to)];
  const detail = step.detail ?? '';
  // What the words say already is not said again.
  const ends = [from, to].filter((end) => end !== '' && !detail.includes(end));
  const rule = step.rule && !detail.includes(step.rule) ? `rule ${step.rule}` : '';
  return h(
    'li',
    `step kind-${step.kind}`,
    h('span', 'tag', step.kind),
    h('span', '', detail),
    ends.length > 0 ? h('div', 'mono quiet', ends.join(' → ')) : undefined,
    rule !== '' ? h('div', 'mono quiet', rule) : undefined,
  );
}

/** Text, or `{name, address, port}`. */
function place(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return '';
  const { name, address, port } = value as { name?: unknown; address?: unknown; port?: unknown };
  const shown = [name, address].filter((part) => typeof part === 'string').join(' ');
  return port === undefined || port === null ? shown : `${shown}:${String(port)}`;
}
