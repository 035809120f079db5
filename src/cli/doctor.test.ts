import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DoctorReport, Finding } from '../model/finding.ts';
import { doctorStatus, formatDoctor } from './doctor.ts';

const finding: Finding = {
  kind: 'forwarding-off',
  area: 'kernel',
  severity: 'error',
  subject: 'net/ipv4/ip_forward',
  sentence: 'The kernel does not forward packets: containers reach nothing outside.',
  evidence: ['net/ipv4/ip_forward = 0'],
  fix: ['sudo sysctl -w net/ipv4/ip_forward=1'],
};
const nothing: DoctorReport = { findings: [], looked: ['kernel'], unseen: [] };

test('exit status: what is only told does not count, what was not looked at does', () => {
  assert.equal(doctorStatus(nothing), 0);
  assert.equal(doctorStatus({ ...nothing, findings: [finding] }), 1);
  assert.equal(doctorStatus({ ...nothing, findings: [{ ...finding, severity: 'note' }] }), 0);
  const unseen = [{ area: 'firewall', why: 'no nft' }] as const;
  assert.equal(doctorStatus({ ...nothing, unseen }), 2);
  assert.equal(doctorStatus({ ...nothing, findings: [finding], unseen }), 1);
});

test('sentences fit the terminal, commands stay whole', () => {
  assert.equal(
    formatDoctor({ ...nothing, findings: [finding] }, 44),
    `ERROR    The kernel does not forward
         packets: containers reach nothing
         outside. [forwarding-off]
  seen   net/ipv4/ip_forward = 0
  mend   sudo sysctl -w net/ipv4/ip_forward=1

1 error. docs/doctor.md explains each.`,
  );
  assert.equal(formatDoctor(nothing), 'Nothing found. Looked at: kernel.');
});
