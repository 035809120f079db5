import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoint, network, port } from './example.ts';
import { renderSteps } from './picture.ts';
import { explainPublishedPort } from './published-way.ts';

const net = network({ name: 'bridge', subnet: '172.17.0.0', bridge: 'docker0' });
const web = endpoint(net, 'web', '172.17.0.2', []);
const kinds = (...given: Parameters<typeof explainPublishedPort>) =>
  explainPublishedPort(...given).map((step) => ('rule' in step ? `${step.kind} ${step.rule}` : step.kind));

test('from outside: translated, routed, let in, the source kept, and translated back', () => {
  assert.deepEqual(kinds(net, web, port('0.0.0.0', 8080, 80)), [
    'send',
    'dnat published',
    'route',
    'accept to-published',
    'source-kept',
    'link',
    'deliver',
    'answer',
    'restore',
  ]);
});

test('on 127.0.0.1 the asker is a program of the host, and the source becomes the bridge', () => {
  const steps = explainPublishedPort(net, web, port('127.0.0.1', 8080, 80));
  assert.deepEqual(steps[0], {
    kind: 'send',
    from: 'host',
    to: { address: '127.0.0.1', ports: { first: 8080, last: 8080 } },
    protocol: 'tcp',
  });
  assert.deepEqual(
    steps.find((step) => step.kind === 'masquerade'),
    { kind: 'masquerade', rule: 'from-loopback', to: '172.17.0.1' },
  );
});

test('on an internal network the way ends at the rule that ends it', () => {
  assert.equal(kinds({ ...net, internal: true }, web, port('0.0.0.0', 8080, 80)).at(-1), 'drop internal-in');
});

test('a range stays a range, shifted as a whole', () => {
  const dnat = explainPublishedPort(net, web, port('0.0.0.0', 9000, 80, 11)).find(
    (step) => step.kind === 'dnat',
  );
  assert.deepEqual(dnat?.to, { address: '172.17.0.2', ports: { first: 80, last: 90 } });
});

test('the picture fits 80 columns, whatever the names', () => {
  const long = endpoint(net, 'x'.repeat(200), '172.17.255.254', []);
  const picture = renderSteps(explainPublishedPort(net, long, port('192.168.100.200', 40000, 50000, 9999)));
  assert.ok(picture.split('\n').every((line) => line.length <= 80));
  assert.match(picture, /rule published-on-address/);
});
