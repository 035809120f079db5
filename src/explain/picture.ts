import type { Step } from './step.ts';
import { ACTORS, stepWords } from './words/published.ts';

const WIDTH = 80;
const LABEL = 10;

/** A small picture of a way in text, at most 80 columns wide. */
export function renderSteps(steps: readonly Step[]): string {
  const lines: string[] = [];
  const row = (rail: string, label: string, text: string): void => {
    lines.push(fit(`  ${rail}  ${label.padEnd(LABEL)} ${text}`.trimEnd()));
  };
  for (const step of steps) {
    if (step.kind === 'send') lines.push(fit(ACTORS[step.from]));
    const rail = step.kind === 'answer' || step.kind === 'restore' ? '▲' : '│';
    const { label, lines: sentences } = stepWords(step);
    if (step.kind === 'deliver') lines.push('  ▼', fit(step.container));
    for (const [i, sentence] of sentences.entries()) row(rail, i === 0 ? label : '', sentence);
  }
  if (steps.at(-1)?.kind === 'drop') lines.push('  ✗');
  return lines.join('\n');
}

function fit(line: string): string {
  return line.length <= WIDTH ? line : `${line.slice(0, WIDTH - 1)}…`;
}
