import { h } from './elements.ts';
import type { WhyAnswer, WhyStep } from './ways.ts';

/** The answer first, then its steps, then what to do. */
export function showAnswer(root: HTMLElement, answer: WhyAnswer, from: string, to: string): void {
  const verdict = h('p', `verdict ${answer.reachable ? 'good' : 'bad'}`, answer.sentence);
  const steps = (answer.steps ?? []).map(stepLine);
  const fixes = answer.fix === undefined || answer.fix === null ? [] : [answer.fix].flat();
  root.replaceChildren(
    verdict,
    ...(answer.reachable || !answer.cause ? [] : [h('p', 'cause mono', answer.cause)]),
    ...(fixes.length > 0 ? [h('h3', '', 'What to change'), ...fixes.map((fix) => h('pre', '', fix))] : []),
    ...(steps.length > 0 ? [h('h3', '', 'The way'), h('ol', 'steps', ...steps)] : []),
    h('p', 'quiet', 'The same with a live packet as proof: ', h('code', '', `gangway why ${from} ${to}`)),
  );
}

function stepLine(step: WhyStep): HTMLElement {
  const [from, to] = [place(step.from), place(step.to)];
  const between = from !== '' && to !== '' && from !== to ? `${from} → ${to}` : from || to;
  return h(
    'li',
    `step kind-${step.kind}`,
    h('span', 'tag', step.kind),
    h('span', '', step.detail ?? between),
    step.detail && between !== '' ? h('div', 'mono quiet', between) : undefined,
    step.rule ? h('div', 'mono quiet', `rule ${step.rule}`) : undefined,
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
