import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { IS_GANGWAY } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { HOST, HOST6, OUTSIDE, OUTSIDE6 } from './namespaces.ts';
import { must } from './process.ts';

/**
 * Who reaches what (docs.docker.com, "Gateway modes", "Port publishing and mapping"). Each network has both families; on
 * each a container serves 80, published on every address of the host, 81, published on loopback, and 82, not published.
 * Columns: the container's own address at 80, 81, 82; the host's address at the ports that stand for 80 and 81; and
 * loopback at both, asked by the host alone. `outside` has a route to every network.
 */
const TABLE = `
  network      asker     own80 own81 own82  host80 host81  lo80 lo81
  nat          itself    +     +     +      +      -       .    .
  nat          sibling   +     +     +      +      -       .    .
  nat          stranger  -     -     -      +      -       .    .
  nat          vaulted   -     -     -      -      -       .    .
  nat          none      -     -     -      -      -       .    .
  nat          host      +     +     +      +      -       +    +
  nat          outside   -     -     -      +      -       .    .
  unprotected  itself    +     +     +      +      -       .    .
  unprotected  sibling   +     +     +      +      -       .    .
  unprotected  stranger  -     -     -      +      -       .    .
  unprotected  vaulted   -     -     -      -      -       .    .
  unprotected  none      -     -     -      -      -       .    .
  unprotected  host      +     +     +      +      -       +    +
  unprotected  outside   +     +     +      +      -       .    .
  routed       itself    +     +     +      -      -       .    .
  routed       sibling   +     +     +      -      -       .    .
  routed       stranger  +     -     -      -      -       .    .
  routed       vaulted   -     -     -      -      -       .    .
  routed       none      -     -     -      -      -       .    .
  routed       host      +     +     +      -      -       -    -
  routed       outside   +     -     -      -      -       .    .
  trusting     itself    +     +     +      +      -       .    .
  trusting     sibling   +     +     +      +      -       .    .
  trusting     stranger  -     -     -      +      -       .    .
  trusting     vaulted   -     -     -      -      -       .    .
  trusting     none      -     -     -      -      -       .    .
  trusting     host      +     +     +      +      -       +    +
  trusting     outside   +     +     -      +      -       .    .
  vault        itself    +     +     +      -      -       .    .
  vault        sibling   +     +     +      -      -       .    .
  vault        stranger  -     -     -      -      -       .    .
  vault        vaulted   -     -     -      -      -       .    .
  vault        none      -     -     -      -      -       .    .
  vault        host      +     +     +      -      -       -    -
  vault        outside   -     -     -      -      -       .    .
  isolated     itself    +     +     +      -      -       .    .
  isolated     sibling   +     +     +      -      -       .    .
  isolated     stranger  -     -     -      -      -       .    .
  isolated     vaulted   -     -     -      -      -       .    .
  isolated     none      -     -     -      -      -       .    .
  isolated     host      -     -     -      -      -       -    -
  isolated     outside   -     -     -      -      -       .    .
`;

/** The rows that are others on Docker Engine 28.5 (docs/differences.md, "Who reaches what"). */
const ON_DOCKERD = `
  network      asker     own80 own81 own82  host80 host81  lo80 lo81
  routed       stranger  +     +     -      -      -       .    .
  routed       outside   +     +     -      -      -       .    .
`;

const mode = (name: string): string[] =>
  ['4', '6'].flatMap((family) => ['-o', `com.docker.network.bridge.gateway_mode_ipv${family}=${name}`]);
const NETWORKS: Readonly<Record<string, readonly string[]>> = {
  nat: [],
  unprotected: mode('nat-unprotected'),
  routed: mode('routed'),
  trusting: ['-o', 'com.docker.network.bridge.trusted_host_interfaces=up0'],
  vault: ['--internal'],
  isolated: ['--internal', ...mode('isolated')],
};
const names = Object.keys(NETWORKS);
/** The host port that stands for 80 or 81 of a network's server. */
const hostPort = (network: string, port: number): number => 8000 + 10 * names.indexOf(network) + port - 80;

const parse = (table: string) =>
  table
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .map(([network = '', asker = '', ...marks]) => ({ network, asker, marks }));
const others = IS_GANGWAY ? [] : parse(ON_DOCKERD);
const rows = parse(TABLE).map(
  (row) => others.find(({ network, asker }) => network === row.network && asker === row.asker) ?? row,
);

for (const bridgeFirewall of ['1', '0']) {
  describe(`bridge-nf-call-iptables=${bridgeFirewall}`, () => {
    let machine: Machine;
    const pids = new Map<string, number>();
    const addresses = new Map<string, readonly string[]>();

    before(async () => {
      machine = await Machine.start({
        prepare: async (made) => {
          for (const name of ['iptables', 'ip6tables'])
            await made.host(['sysctl', '-qw', `net.bridge.bridge-nf-call-${name}=${bridgeFirewall}`]);
        },
      });
      pids.set('host', machine.namespaces.machine).set('outside', machine.namespaces.outside);
      for (const [name, options] of Object.entries(NETWORKS)) {
        await machine.dockerOk('network', 'create', '--ipv6', ...options, name);
        const published = [
          ...['-p', `${hostPort(name, 80)}:80`],
          ...['-p', `127.0.0.1:${hostPort(name, 81)}:81`, '-p', `[::1]:${hostPort(name, 81)}:81`],
        ];
        await start(name, name, published);
        await start(`sibling-${name}`, name);
        for (const at of ['.IPAddress', '.GlobalIPv6Address']) {
          const text = `{{range .NetworkSettings.Networks}}{{${at}}}{{end}}`;
          addresses.set(name, [
            ...(addresses.get(name) ?? []),
            await machine.dockerOk('inspect', '-f', text, name),
          ]);
        }
        const listeners = [80, 81, 82].map((port) => ({ protocol: 'tcp', port }) as const);
        await machine.serve(pids.get(name) ?? 0, name, listeners);
      }
      await machine.dockerOk('network', 'create', '--ipv6', 'other');
      await machine.dockerOk('network', 'create', '--ipv6', '--internal', 'other-vault');
      await start('stranger', 'other');
      await start('vaulted', 'other-vault');
      await start('none', 'none');
      for (const [ip4, ip6] of addresses.values()) {
        await must(machine.inOutside(['ip', 'route', 'add', `${ip4}/32`, 'via', HOST]));
        await must(machine.inOutside(['ip', '-6', 'route', 'add', `${ip6}/128`, 'via', HOST6]));
      }
    });
    after(() => machine.close());

    async function start(name: string, network: string, options: readonly string[] = []): Promise<void> {
      await machine.dockerOk(
        ...['run', '-d', '--name', name, '--network', network, ...options, 'busybox', 'sleep', '1000'],
      );
      pids.set(name, await machine.containerPid(name));
    }

    const pidOf = (asker: string, network: string): number =>
      pids.get(asker === 'itself' ? network : asker === 'sibling' ? `sibling-${network}` : asker) ?? 0;

    for (const family of ['IPv4', 'IPv6'] as const) {
      for (const { network, asker, marks } of rows) {
        test(`${family}: ${asker} to ${network}`, async () => {
          const own = addresses.get(network)?.[family === 'IPv4' ? 0 : 1] ?? '';
          const host = family === 'IPv4' ? HOST : HOST6;
          const loopback = family === 'IPv4' ? '127.0.0.1' : '::1';
          const places: readonly (readonly [string, number])[] = [
            ...[80, 81, 82].map((port) => [own, port] as const),
            ...[80, 81].map((port) => [host, hostPort(network, port)] as const),
            ...[80, 81].map((port) => [loopback, hostPort(network, port)] as const),
          ];
          const asked = places.flatMap(([address, port], i) =>
            marks[i] === '.' ? [] : [{ protocol: 'tcp', address, port } as const],
          );
          const answers = await machine.ask(pidOf(asker, network), asked);
          // br_netfilter undoes the translation too early for ::1; dockerd has a proxy there.
          const blind = IS_GANGWAY && family === 'IPv6' && bridgeFirewall === '1';
          const wanted = marks
            .filter((mark) => mark !== '.')
            .map((mark, i) => (blind && i >= 5 ? '-' : mark));
          assert.deepEqual(
            answers.map((answer) => (answer === '-' ? '-' : '+')),
            wanted,
            `${asked.map(({ address, port }) => `[${address}]:${port}`).join(' ')}\n${answers.join(' | ')}`,
          );
          for (const answer of answers) assert.ok(answer === '-' || answer.startsWith(`${network} `), answer);
        });
      }
    }

    test('the source of what comes from outside is kept, on its way out a container has the host’s', async () => {
      await machine.serve(machine.namespaces.outside, 'outside', [{ protocol: 'tcp', port: 7000 }]);
      for (const [host, outside, port] of [
        [HOST, OUTSIDE, hostPort('nat', 80)],
        [HOST6, OUTSIDE6, hostPort('nat', 80)],
      ] as const) {
        const inward = await machine.ask(machine.namespaces.outside, [
          { protocol: 'tcp', address: host, port },
        ]);
        assert.deepEqual(inward, [`nat ${outside} 80`]);
        const outward = { protocol: 'tcp', address: outside, port: 7000 } as const;
        assert.deepEqual(await machine.ask(pids.get('nat') ?? 0, [outward]), [`outside ${host} 7000`]);
        const own = addresses.get('routed')?.[host === HOST ? 0 : 1];
        assert.deepEqual(await machine.ask(pids.get('routed') ?? 0, [outward]), [`outside ${own} 7000`]);
        assert.deepEqual(await machine.ask(pids.get('vault') ?? 0, [outward]), ['-']);
      }
    });
  });
}
