import type { DoctorReport, Finding } from '../model/finding.ts';

/** 0: nothing found. 1: findings. 2: something could not be looked at, and nothing was found elsewhere. */
export function doctorStatus({ findings, unseen }: DoctorReport): 0 | 1 | 2 {
  if (findings.some(({ severity }) => severity !== 'note')) return 1;
  return unseen.length > 0 ? 2 : 0;
}

export function formatDoctor(report: DoctorReport): string {
  const { findings, looked, unseen } = report;
  const blind = unseen.map(({ area, why }) => `Could not look at ${area}: ${why}`);
  if (findings.length === 0) {
    return [...blind, `Nothing found. Looked at: ${looked.join(', ') || 'nothing'}.`].join('\n');
  }
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const warnings = findings.filter(({ severity }) => severity === 'warning').length;
  const notes = findings.length - errors - warnings;
  const count = (n: number, word: string): string[] => (n === 0 ? [] : [`${n} ${word}${n === 1 ? '' : 's'}`]);
  return [
    ...findings.map(formatFinding),
    [
      ...blind,
      `${[...count(errors, 'error'), ...count(warnings, 'warning'), ...count(notes, 'note')].join(', ')}. docs/doctor.md explains each.`,
    ].join('\n'),
  ].join('\n\n');
}

function formatFinding({ kind, severity, sentence, evidence, fix }: Finding): string {
  return [
    `${severity.toUpperCase()}  ${sentence}  [${kind}]`,
    ...evidence.map((line) => `    seen   ${line}`),
    ...fix.map((line) => `    mend   ${line}`),
  ].join('\n');
}
