import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ip } from '../model/address.ts';
import type { PolicyRule, RouteFacts } from '../model/kernel-facts.ts';
import { exampleWorld } from './example-world.ts';
import { type Flow, ruleDeletion, ruleWords } from './policy.ts';
import { lookUp } from './route.ts';

const TO = '203.0.113.7' as Ip;
const FROM = '198.51.100.2' as Ip;
const WIRE = 77;

const route = (table: number, more: Partial<RouteFacts> = {}): RouteFacts => ({
  family: 'ipv4',
  to: undefined,
  gateway: undefined,
  link: WIRE,
  kind: 'unicast',
  source: undefined,
  metric: 0,
  table,
  ...more,
});
const rule = (priority: number, more: Partial<PolicyRule> = {}): PolicyRule => ({
  family: 'ipv4',
  priority,
  action: { kind: 'lookup', table: 100 },
  not: false,
  others: [],
  ...more,
});
const refusing = (priority: number, more: Partial<PolicyRule> = {}): PolicyRule =>
  rule(priority, { action: { kind: 'refusing', how: 'prohibit' }, ...more });

/** By which device it goes, or how it ends; the rule that led there, and those of which nothing can be told. */
function way(rules: readonly PolicyRule[], flow: Partial<Flow> = {}, routes = [route(100)]): string {
  const { facts } = exampleWorld([], { rules, routes }).host;
  const found = lookUp(facts, { to: TO, iif: 'lo', ...flow });
  const device = facts.links.find(({ index }) => index === found.route?.link)?.name;
  const to = found.route === undefined ? 'nowhere' : (device ?? 'wire');
  return [to, found.rule?.priority, ...found.undecided.map(({ priority }) => `${priority}?`)]
    .filter((word) => word !== undefined)
    .join(' ');
}

test('the usual rules are not told, and a table without a route is passed over', () => {
  assert.equal(way([]), 'up0');
  assert.equal(way([rule(10)]), 'wire 10');
  assert.equal(way([rule(10)], {}, []), 'up0');
  assert.equal(way([rule(10)], {}, [route(100, { kind: 'throw' })]), 'up0');
  assert.equal(way([rule(40000)]), 'up0', 'after main');
  assert.equal(way([rule(10, { family: 'ipv6' })]), 'up0');
  assert.equal(way([rule(10, { action: { kind: 'nop' } })]), 'up0');
});

test('addresses, the device it comes by, ports: what is sent has no source yet', () => {
  const from = { address: '198.51.100.0' as Ip, length: 24 };
  const by = refusing(10, { from });
  assert.equal(way([by]), 'up0');
  assert.equal(way([by], { from: FROM }), 'nowhere 10');
  assert.equal(way([refusing(10, { from, not: true })]), 'nowhere 10');
  assert.equal(way([refusing(10, { from, not: true })], { from: FROM }), 'up0');
  assert.equal(way([refusing(10, { iif: 'br-a' })], { iif: 'br-a' }), 'nowhere 10');
  assert.equal(way([refusing(10, { iif: 'br-a' })]), 'up0');
  assert.equal(way([refusing(10, { oif: 'up0' })]), 'up0', 'of bound sockets alone');
  const web = refusing(10, { protocol: 6, dport: { first: 80, last: 90 } });
  assert.equal(way([web], { protocol: 'tcp', dport: 85 }), 'nowhere 10');
  assert.equal(way([web], { protocol: 'tcp', dport: 91 }), 'up0');
  assert.equal(way([web], { protocol: 'udp', dport: 85 }), 'up0');
  assert.equal(way([web], { protocol: 'tcp', dport: 0 }), 'up0 10?', 'the port is not known');
  assert.equal(way([web]), 'up0', 'asked without ports');
});

test('marks, owners, and what cannot be told', () => {
  const marked = rule(10, { mark: { value: 1, mask: 0xff } });
  assert.equal(way([marked]), 'up0');
  assert.equal(way([marked], { mark: 0x101 }), 'wire 10');
  assert.equal(way([marked], { mark: 'unknown' }), 'up0 10?');
  assert.equal(way([marked], { mark: 'unknown' }, []), 'up0', 'it would have led nowhere');
  const owned = refusing(10, { uid: { first: 0, last: 0 } });
  assert.equal(way([owned], { iif: 'br-a' }), 'nowhere 10', 'what is handed on is of root');
  assert.equal(way([owned]), 'up0 10?');
  assert.equal(way([refusing(10, { others: ['tos'] })]), 'up0 10?');
  assert.equal(way([refusing(10, { others: ['l3mdev'] })]), 'up0', 'there is no VRF');
});

test('as wg-quick does it: main without its default route, then the tunnel but for its own packets', () => {
  const rules = [
    rule(10, { action: { kind: 'lookup', table: 254 }, suppress: 0 }),
    rule(11, { mark: { value: 0xca6c, mask: 0xffff_ffff }, not: true }),
  ];
  assert.equal(way(rules), 'wire 11');
  assert.equal(way(rules, { mark: 0xca6c }), 'up0');
  assert.equal(way(rules, { to: '198.51.100.9' as Ip }), 'up0');
});

test('goto', () => {
  const jump = rule(10, { action: { kind: 'goto', priority: 30 } });
  assert.equal(way([jump, refusing(20), rule(30)]), 'wire 30');
});

test('in the words of ip rule, which takes them back', () => {
  const full = rule(10, {
    not: true,
    to: { address: '10.0.0.0' as Ip, length: 8 },
    mark: { value: 7, mask: 0xff },
    iif: 'lo',
    protocol: 17,
    dport: { first: 1, last: 2 },
    uid: { first: 5, last: 6 },
  });
  assert.equal(
    ruleWords(full),
    'pref 10 not from all to 10.0.0.0/8 fwmark 0x7/0xff iif lo uidrange 5-6 ipproto udp dport 1-2 lookup 100',
  );
  assert.equal(ruleDeletion(refusing(3, { family: 'ipv6' })), 'ip -6 rule del pref 3 from all prohibit');
  assert.equal(ruleDeletion(rule(3, { others: ['tos'] })), 'ip rule del pref 3');
});
