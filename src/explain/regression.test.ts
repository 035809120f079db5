import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoint, network, ports } from './example.ts';
import type { ExampleLan } from './example-lan.ts';
import { client, type WayOptions, way, web } from './example-way.ts';
import { exampleWorld, listener } from './example-world.ts';
import { stoppedNameQuestion } from './name-question.ts';

/** nft as the kernel lists it: one chain at a hook. */
const table = (family: string, hook: string, priority: number, ...rules: readonly string[]): string =>
  `table ${family} fw { # handle 1\n chain c { # handle 1\n type filter hook ${hook} priority ${priority}; policy accept;\n ${rules
    .map((rule, i) => `${rule} # handle ${i + 2}`)
    .join('\n')}\n}\n}`;
const onHost = (hook: string, priority: number, ...rules: readonly string[]): WayOptions => ({
  firewall: [table('inet', hook, priority, ...rules)],
});

const serving = [listener('tcp', '::', 80)];
const lan = (name: string, last: number, mode: ExampleLan['mode'] = 'bridge'): ExampleLan => ({
  name,
  address: `198.51.100.${last}`,
  mode,
  listeners: serving,
});
const lans = [lan('near', 130), lan('next', 131)];
const apart = [lan('near', 130, 'private'), lan('next', 131, 'private')];

const routed = network({ name: 'open', subnet: '10.4.0.0', bridge: 'br-open', gatewayMode: 'routed' });
const open = {
  network: routed,
  endpoint: {
    ...endpoint(routed, 'open', '10.4.0.2', []),
    opened: [{ family: 'ipv4', protocol: 'tcp', ports: ports(80) } as const],
  },
  listeners: serving,
};

/** Where the differential test (test/e2e/why-random.test.ts) found the model to differ from the kernel. */
const REGRESSIONS: readonly (readonly [
  what: string,
  from: string,
  to: string,
  way: string,
  options?: WayOptions,
])[] = [
  [
    'a datagram socket for every address answers from the one that the route back has',
    'client',
    '198.51.100.3:9053/udp',
    'back other-source',
    { listeners: [listener('udp', '0.0.0.0', 9053)] },
  ],
  [
    'and is heard where that is the one asked',
    'client',
    '10.1.0.1:9053/udp',
    'answered',
    { listeners: [listener('udp', '0.0.0.0', 9053)] },
  ],
  [
    "what the host asks of its own bridge's address is masqueraded on its way through lo",
    'host',
    '10.1.0.1:9000',
    '198.51.100.1 answered',
    { listeners: [listener('tcp', '::', 9000)] },
  ],
  [
    'the host and a container on a macvlan of its uplink do not hear each other',
    'host',
    '198.51.100.130:80',
    'macvlan-host',
    { lans },
  ],
  ['nor do its bridges reach that', 'client', '198.51.100.130:80', '198.51.100.1 macvlan-host', { lans }],
  ['nor does that reach the host', 'near', '198.51.100.1:8080', 'macvlan-host', { lans }],
  [
    'neighbours on a macvlan in bridge mode hear each other',
    'near',
    '198.51.100.131:80',
    'answered',
    { lans },
  ],
  ['those in private mode do not', 'near', '198.51.100.131:80', 'macvlan-apart', { lans: apart }],
  [
    'one that is in bridge mode does not hear one that is not',
    'near',
    '198.51.100.131:80',
    'macvlan-apart',
    { lans: [lan('near', 130), lan('next', 131, 'vepa')] },
  ],
  ['outside hears those in private mode', 'outside', '198.51.100.131:80', 'answered', { lans: apart }],
  [
    'the answer leaves by the macvlan: what is translated is not translated back',
    'outside',
    '198.51.100.1:8080',
    '10.1.0.2:80 back other-source',
    { lans: [lan('web', 130)] },
  ],
  [
    'and the host, which has not seen the answer, knows no connection',
    'outside',
    '10.4.0.2:80',
    'later invalid',
    { lans: [lan('open', 130)], members: [open] },
  ],
  [
    'before connection tracking every packet is of no connection',
    'client',
    '10.1.0.2:80',
    'inet fw c handle 2',
    { members: [{ ...web, firewall: [table('inet', 'prerouting', -250, 'ct state invalid drop')] }, client] },
  ],
  [
    'and has no direction',
    'client',
    '10.1.0.2:80',
    'answered',
    {
      members: [
        { ...web, firewall: [table('inet', 'prerouting', -250, 'ct direction original drop')] },
        client,
      ],
    },
  ],
  [
    'a rule stops what follows the answer',
    'outside',
    '198.51.100.1:8080',
    '10.1.0.2:80 later inet fw c handle 2',
    onHost('forward', 0, 'iifname "up0" ct state established drop'),
  ],
  [
    'a rule stops the answer of somebody outside',
    'web',
    '203.0.113.1:443',
    '198.51.100.1 back inet fw c handle 2',
    onHost('forward', 0, 'iifname "up0" ct state established drop'),
  ],
  [
    'or what is sent to him after that',
    'host',
    '203.0.113.1:443',
    'later inet fw c handle 2',
    onHost('output', 0, 'meta l4proto tcp ct state established reject'),
  ],
  [
    'a translated answer has its own source until it leaves',
    'outside',
    '198.51.100.1:8080',
    '10.1.0.2:80 back inet fw c handle 2',
    onHost('postrouting', 0, 'ip saddr 10.1.0.2 drop'),
  ],
  [
    'a destination that was translated is not the host any more',
    'outside',
    '198.51.100.1:8080',
    '10.1.0.2:80 answered',
    onHost('forward', 0, 'fib daddr type local drop'),
  ],
  [
    'nor is that of a masqueraded answer',
    'web',
    '203.0.113.1:443',
    '198.51.100.1 left',
    onHost('forward', 0, 'fib daddr type local drop'),
  ],
  [
    'a translation is of the namespace that made it',
    'outside',
    '198.51.100.1:8080',
    '10.1.0.2:80 answered',
    { members: [{ ...web, firewall: [table('inet', 'input', 0, 'ct status dnat drop')] }, client] },
  ],
];

for (const [what, from, to, wanted, options] of REGRESSIONS) {
  test(`regression: ${what}`, () => {
    assert.equal(way(from, to, options), wanted);
  });
}

for (const [rule, end] of [
  ['oifname "lo" drop', 'stopped'],
  ['udp dport 53 drop', 'stopped'],
  ['ip daddr 10.1.0.3 drop', undefined],
] as const) {
  test(`regression: names are asked over lo, past the container's own rules: ${rule}`, () => {
    const world = exampleWorld([{ ...web, firewall: [table('inet', 'output', 0, rule)] }]);
    const [asker] = world.sandboxes;
    assert.ok(asker);
    assert.equal(stoppedNameQuestion(world, asker)?.outcome.kind, end);
  });
}
