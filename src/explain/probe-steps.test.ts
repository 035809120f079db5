import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IfName, Ip, NetnsPath } from '../model/address.ts';
import type { Port } from '../model/port.ts';
import type { ProbeFacts, ProbeHop, ProbeRequest } from '../model/probe.ts';
import { explainProbe } from './probe-steps.ts';

const netns = '/run/netns/a' as NetnsPath;
const request: ProbeRequest = {
  from: netns,
  to: { protocol: 'tcp', address: '10.9.1.2' as Ip, port: 80 as Port },
  toNetns: '/run/netns/b' as NetnsPath,
};
const names = { from: 'web', to: 'db' };
const tuple = {
  protocol: 'tcp',
  source: '10.9.1.3' as Ip,
  destination: '10.9.1.2' as Ip,
  sourcePort: 40000,
  destinationPort: 80,
} as const;
const waypoint = (place: ProbeHop['place'], hook: string, oif?: string): ProbeHop => ({
  place,
  direction: 'there',
  hook,
  tuple,
  iif: undefined,
  oif: oif as IfName | undefined,
  table: 'inet gangway_probe',
  chain: `last_${hook}`,
  waypoint: true,
  decision: undefined,
});
const silence: ProbeFacts = {
  outcome: { kind: 'silence' },
  sent: tuple,
  hops: [waypoint('from', 'postrouting', 'eth0'), waypoint('host', 'prerouting')],
  connection: undefined,
  dropped: [],
  forwarding: true,
  conntrackFull: false,
  standIn: undefined,
};
const cause = (facts: Partial<ProbeFacts>, asked: Partial<ProbeRequest> = {}) =>
  explainProbe({ ...silence, ...facts }, { ...request, ...asked }, names).cause;
const drop = (reason: string) => ({ dropped: [{ reason, location: 'f+0x1/0x2' }] });

test('silence: what the kernel says decides, else how far it came', () => {
  assert.equal(cause({}), 'no-route');
  assert.equal(cause({ forwarding: false }), 'forwarding-off');
  assert.equal(cause({ conntrackFull: true }), 'conntrack-full');
  assert.equal(cause(drop('IP_RPFILTER')), 'rp-filter');
  assert.equal(cause(drop('NETFILTER_DROP')), 'foreign-rule');
  assert.equal(cause({ ...drop('NETFILTER_DROP'), hops: silence.hops.slice(0, 1) }), 'link-broken');
  assert.equal(cause(drop('SOCKET_FILTER')), 'own-rules-missing');
  const left = [...silence.hops, waypoint('host', 'postrouting', 'br-1')];
  assert.equal(cause({ hops: left }), 'link-broken');
  assert.equal(
    explainProbe({ ...silence, hops: left }, { ...request, toNetns: netns }, names).cause,
    'link-broken',
  );
  const delivered = [...left, waypoint('to', 'input')];
  assert.equal(cause({ hops: delivered }), 'no-route', 'no way back');
  const back = { ...waypoint('to', 'output'), direction: 'back' } as const;
  assert.equal(cause({ hops: [...delivered, back] }), 'no-answer');
});

test('an answer from an address that was not asked is none', () => {
  const asked: ProbeRequest = { ...request, to: { ...request.to, protocol: 'udp' } as ProbeRequest['to'] };
  const hops = [...silence.hops, waypoint('host', 'input')];
  assert.equal(explainProbe({ ...silence, hops }, asked, names).reachable, true);
  const answer = (source: string): ProbeHop => ({
    ...waypoint('from', 'input'),
    direction: 'back',
    tuple: {
      ...tuple,
      source: source as Ip,
      destination: tuple.source,
      sourcePort: 80,
      destinationPort: 40000,
    },
  });
  const elsewhere = explainProbe({ ...silence, hops: [...hops, answer('10.9.1.1')] }, asked, names);
  assert.deepEqual([elsewhere.reachable, elsewhere.cause], [false, 'answer-from-elsewhere']);
  assert.match(elsewhere.steps.at(-1)?.detail ?? '', /an answer comes from 10\.9\.1\.1:80/);
  const right = explainProbe({ ...silence, hops: [...hops, answer('10.9.1.2')] }, asked, names);
  assert.equal(right.reachable, true);
});

test('what the sender is told', () => {
  assert.equal(cause({ outcome: { kind: 'refused' } }), 'nothing-listens');
  assert.equal(cause({ outcome: { kind: 'failed', errno: 'ENETUNREACH' }, hops: [] }), 'no-route');
  assert.equal(cause({ outcome: { kind: 'failed', errno: 'EMSGSIZE' }, hops: [] }), 'mtu');
  const answered = explainProbe({ ...silence, outcome: { kind: 'answered' } }, request, names);
  assert.deepEqual([answered.reachable, answered.cause], [true, null]);
});

test('nothing sent is neither reachable nor not', () => {
  const report = explainProbe({ ...silence, outcome: { kind: 'not-sent', why: 'no block' } }, request, names);
  assert.deepEqual(report, {
    reachable: null,
    cause: null,
    steps: [{ kind: 'not-sent', detail: 'no block' }],
  });
});

test('a packet that comes back to its sender is delivered after it passed the host', () => {
  const hops = [
    waypoint('host', 'prerouting'),
    waypoint('host', 'postrouting', 'br-1'),
    waypoint('from', 'postrouting', 'eth0'),
    waypoint('from', 'input'),
  ];
  const { steps } = explainProbe({ ...silence, outcome: { kind: 'answered' }, hops }, request, names);
  assert.deepEqual(
    steps.map(({ kind, from, to }) => `${kind} ${from ?? to ?? ''}`.trim()),
    ['send 10.9.1.3:40000', 'link eth0', 'link br-1', 'deliver 10.9.1.2:80', 'answer'],
  );
});
