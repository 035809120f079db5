import type { DoctorReport, Finding } from '../model/finding.ts';
import { paragraph } from './text.ts';

/** 0: nothing found. 1: findings. 2: something could not be looked at, and nothing was found elsewhere. */
export function doctorStatus({ findings, unseen }: DoctorReport): 0 | 1 | 2 {
  if (findings.some(({ severity }) => severity !== 'note')) return 1;
  return unseen.length > 0 ? 2 : 0;
}

/** @param width of the terminal, in characters; commands are never broken */
export function formatDoctor(report: DoctorReport, width = 100): string {
  const { findings, looked, unseen } = report;
  const blind = unseen.map(({ area, why }) => `Could not look at ${area}: ${why}`);
  if (findings.length === 0) {
    return [...blind, `Nothing found. Looked at: ${looked.join(', ') || 'nothing'}.`].join('\n');
  }
  const count = (severity: Finding['severity']): string[] => {
    const n = findings.filter((finding) => finding.severity === severity).length;
    return n === 0 ? [] : [`${n} ${severity}${n === 1 ? '' : 's'}`];
  };
  const sum = [...count('error'), ...count('warning'), ...count('note')].join(', ');
  return [
    ...findings.map((finding) => formatFinding(finding, width)),
    [...blind, `${sum}. docs/doctor.md explains each.`].join('\n'),
  ].join('\n\n');
}

const INDENT = ' '.repeat(9);

function formatFinding({ kind, severity, sentence, evidence, fix }: Finding, width: number): string {
  const head = severity.toUpperCase().padEnd(INDENT.length);
  return [
    paragraph(`${head}${sentence} [${kind}]`, width, INDENT),
    ...evidence.map((line) => paragraph(`  seen   ${line}`, width, INDENT)),
    ...fix.map((line) => `  mend   ${line}`),
  ].join('\n');
}
