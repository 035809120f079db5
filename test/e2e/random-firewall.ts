import type { Chance } from './chance.ts';
import { type Condition, iptablesMatch, nftMatch } from './firewall-condition.ts';
import type { Machine } from './machine.ts';
import { must } from './process.ts';
import { inNamespace } from './real-connection.ts';
import type { RunningTopology } from './running-topology.ts';

/** Rules of somebody else, on the host and in containers, the same ones for the same seed. */

/** Shell to be run in a namespace. */
interface Installed {
  /** `host` or a container. */
  readonly where: string;
  readonly script: string;
}

/** What rules can be about. */
interface Surroundings {
  readonly addresses: readonly string[];
  readonly ports: readonly { readonly protocol: 'tcp' | 'udp'; readonly port: number }[];
  readonly interfaces: readonly string[];
}

type Hook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
type Family = 'ipv4' | 'ipv6';

const HOST_HOOKS: readonly Hook[] = [
  'forward',
  'forward',
  'forward',
  'input',
  'output',
  'prerouting',
  'postrouting',
];
const INNER_HOOKS: readonly Hook[] = ['input', 'input', 'output', 'output', 'prerouting', 'postrouting'];
/** Before and after connection tracking (-200), translation (-100, 100) and the engine's own chains. */
const PRIORITIES = [-310, -250, -175, -120, -10, 0, 0, 0, 10, 120];

/** Installs it. @returns the scripts, to be shown where something differs */
export async function installFirewall(
  machine: Machine,
  running: RunningTopology,
  chance: Chance,
): Promise<readonly Installed[]> {
  const around = { ...surroundings(running), interfaces: await bridges(machine) };
  const pieces: Installed[] = Array.from({ length: 2 + chance.below(2) }, (_, i) => ({
    where: 'host',
    script: randomPiece(
      chance,
      { ...around, interfaces: [...around.interfaces, 'up0', 'up0', 'lo'] },
      HOST_HOOKS,
      i,
    ),
  }));
  const inside = [...running.containers.values()].filter(
    ({ container }) => container.mode === 'networks' && container.state !== 'stopped',
  );
  for (const { container } of chance.some(inside, 3)) {
    const script = randomPiece(chance, { ...around, interfaces: ['eth0', 'eth1', 'lo'] }, INNER_HOOKS, 0);
    pieces.push({ where: container.name, script });
  }
  for (const { where, script } of pieces) {
    const pid = running.containers.get(where)?.pid;
    const command = ['sh', '-ec', script];
    await must(pid === undefined ? machine.inMachine(command) : inNamespace(pid, command));
  }
  return pieces;
}

/** From the host; what is in a container goes with it. */
export async function takeAwayFirewall(machine: Machine): Promise<void> {
  const script = `
    nft list tables | grep -v ' gangway' | while read -r t; do nft delete $t; done
    for v in ip ip6; do
      tool="$v"tables-legacy
      for t in $(cat /proc/net/"$v"_tables_names); do
        $tool -t $t -F; $tool -t $t -X
        for c in INPUT FORWARD OUTPUT; do $tool -t $t -P $c ACCEPT || true; done
      done
    done
    for f in -4 -6; do
      for p in $(ip $f rule show | sed -n 's/^\\(1[0-9][0-9]\\):.*/\\1/p'); do ip $f rule del pref $p; done
    done`;
  await must(machine.inMachine(['sh', '-c', script]));
}

function surroundings({ containers }: RunningTopology): Omit<Surroundings, 'interfaces'> {
  const all = [...containers.values()];
  const published = all.flatMap(({ container }) =>
    container.published.map(({ key, HostPort }) => ({
      protocol: key.endsWith('udp') ? ('udp' as const) : ('tcp' as const),
      port: Number(HostPort),
    })),
  );
  const inner = [80, 81, 82].map((port) => ({ protocol: 'tcp', port }) as const);
  return {
    addresses: all.flatMap(({ addresses }) => addresses),
    ports: [...inner, ...inner, { protocol: 'udp', port: 5300 }, ...published],
  };
}

async function bridges(machine: Machine): Promise<readonly string[]> {
  const listing = await must(machine.inMachine(['ip', '-o', 'link', 'show', 'type', 'bridge']));
  return [...listing.matchAll(/^\d+: ([^:@]+)/gm)].map(([, name]) => name ?? '');
}

function randomPiece(chance: Chance, around: Surroundings, hooks: readonly Hook[], index: number): string {
  const roll = chance.next();
  if (roll < 0.55) return nftTable(chance, around, hooks, index);
  if (roll < 0.85) return iptables(chance, around, hooks);
  return policyRules(chance, around);
}

/** `mine0`: a chain or two at the hooks, one of their own that they jump to, now and then a policy that drops. */
function nftTable(chance: Chance, around: Surroundings, hooks: readonly Hook[], index: number): string {
  const family = chance.pick(['ip', 'ip6', 'inet', 'inet'] as const);
  const families: readonly Family[] =
    family === 'ip' ? ['ipv4'] : family === 'ip6' ? ['ipv6'] : ['ipv4', 'ipv6'];
  const table = `${family} mine${index}`;
  const lines = [`add table ${table}`];
  for (let i = 0; i < 1 + chance.below(2); i++) {
    const hook = chance.pick(hooks);
    const policy = chance.whether(0.15) ? 'drop' : 'accept';
    const chain = `${table} c${i}`;
    lines.push(
      `add chain ${chain} { type filter hook ${hook} priority ${chance.pick(PRIORITIES)}; policy ${policy}; }`,
      `add chain ${chain}-more`,
      ...(families.includes('ipv6')
        ? [`add rule ${chain} icmpv6 type { ${DISCOVERY.join(', ')} } accept`]
        : []),
    );
    const rule = (at: string): string => {
      const chosen = chance.pick(families);
      const matches = randomConditions(chance, around, hook, chosen).map((each) => nftMatch(each, chosen));
      return `add rule ${at} ${matches.join(' ')} ${randomVerdict(chance, hook, policy)}`;
    };
    lines.push(...exceptions(chance, policy).map((words) => `add rule ${chain} ${words}`));
    for (let n = 0; n < 1 + chance.below(4); n++) {
      if (!chance.whether(0.2)) lines.push(rule(chain));
      else lines.push(rule(`${chain}-more`), `add rule ${chain} ${chance.pick(['jump', 'goto'])} c${i}-more`);
    }
  }
  return `nft -f - <<'END'\n${lines.join('\n')}\nEND`;
}

/** Without it no address of IPv6 is found: a firewall that lets nothing else through lets this through. */
const DISCOVERY = ['nd-neighbor-solicit', 'nd-neighbor-advert'];
const DISCOVERY_TYPES = [135, 136];

function exceptions(chance: Chance, policy: string): readonly string[] {
  if (policy === 'accept') return [];
  return [
    ...(chance.whether(0.8) ? ['ct state established,related accept'] : []),
    ...chance.some(['meta l4proto icmp accept', 'meta l4proto udp accept', 'tcp dport 80-82 accept'], 2),
  ];
}

function randomVerdict(chance: Chance, hook: Hook, policy: string): string {
  if (policy === 'drop') return chance.pick(['accept', 'accept', 'accept', 'drop']);
  const rejects = hook === 'prerouting' || hook === 'postrouting' ? [] : ['reject'];
  return chance.pick(['drop', 'drop', ...rejects, 'accept', 'return']);
}

/** A chain of its own, jumped to first, as people use DOCKER-USER; of the tool for the kernel's old tables too. */
function iptables(chance: Chance, around: Surroundings, hooks: readonly Hook[]): string {
  const family = chance.pick(['ipv4', 'ipv4', 'ipv6'] as const);
  const tool = `${family === 'ipv4' ? 'iptables' : 'ip6tables'}${chance.pick(['', '-legacy'])}`;
  const hook = chance.pick(
    hooks.filter((each) => each === 'input' || each === 'forward' || each === 'output'),
  );
  const base = hook.toUpperCase();
  const policy = chance.whether(0.15) ? 'drop' : 'accept';
  const lines = [`${tool} -N MINE-USER`];
  if (family === 'ipv6')
    lines.push(
      ...DISCOVERY_TYPES.map((type) => `${tool} -A ${base} -p ipv6-icmp --icmpv6-type ${type} -j ACCEPT`),
    );
  lines.push(`${tool} -A ${base} -j MINE-USER`);
  if (policy === 'drop') {
    lines.push(`${tool} -P ${base} DROP`);
    if (chance.whether(0.8))
      lines.push(`${tool} -A MINE-USER -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`);
  }
  for (let n = 0; n < 2 + chance.below(3); n++) {
    const matches = randomConditions(chance, around, hook, family).map((each) => iptablesMatch(each, family));
    const verdict = randomVerdict(chance, hook, policy).toUpperCase();
    lines.push(`${tool} -A ${chance.pick([base, 'MINE-USER'])} ${matches.join(' ')} -j ${verdict}`);
  }
  return lines.join('\n');
}

/** Preferences 100 to 199. */
function policyRules(chance: Chance, { addresses, ports, interfaces }: Surroundings): string {
  return Array.from({ length: 1 + chance.below(2) }, (_, i) => {
    const address = chance.pick(addresses);
    const { protocol, port } = chance.pick(ports);
    const words = [
      address.includes(':') ? 'ip -6 rule add' : 'ip rule add',
      `pref ${110 + 10 * i}`,
      chance.whether(0.1) && 'not',
      `${chance.pick(['from', 'to'])} ${address}`,
      chance.whether(0.3) && `iif ${chance.pick(interfaces)}`,
      chance.whether(0.4) && `ipproto ${protocol} ${chance.whether(0.7) ? `dport ${port}` : ''}`,
      chance.pick(['prohibit', 'blackhole', 'unreachable']),
    ];
    return words.filter(Boolean).join(' ');
  }).join('\n');
}

/** One to three, that can all be true of some packet at this hook. */
function randomConditions(
  chance: Chance,
  { addresses, ports, interfaces }: Surroundings,
  hook: Hook,
  family: Family,
): readonly Condition[] {
  const own = addresses.filter((address) => address.includes(':') === (family === 'ipv6'));
  const sides = {
    prerouting: ['in'],
    input: ['in'],
    forward: ['in', 'out'],
    output: ['out'],
    postrouting: ['out'],
  } as const;
  const makers: readonly (() => Condition)[] = [
    () => {
      const { protocol, port } = chance.pick(ports);
      const more = chance.whether(0.3) ? [chance.pick(ports).port] : [];
      return {
        kind: 'port',
        protocol,
        side: chance.pick(['to', 'to', 'to', 'from']),
        ports: [...new Set([port, ...more])],
      };
    },
    () => ({
      kind: 'interface',
      side: chance.pick(sides[hook]),
      name: chance.pick(interfaces),
      not: chance.whether(0.15),
    }),
    () => ({
      kind: 'state',
      states: chance.pick([['new'], ['established', 'related'], ['established'], ['invalid']]),
    }),
    () =>
      chance.pick([
        { kind: 'direction', of: 'original' },
        { kind: 'direction', of: 'reply' },
        { kind: 'translated' },
      ]),
    () => ({ kind: 'protocol', protocol: chance.pick(['tcp', 'udp', 'icmp']) }),
    ...(hook === 'postrouting' ? [] : [(): Condition => ({ kind: 'to-own-address' })]),
  ];
  const address = (side: 'from' | 'to') => (): Condition => ({
    kind: 'address',
    side,
    address: chance.pick(own),
    not: chance.whether(0.1),
  });
  const both = own.length > 0 ? [address('from'), address('to')] : [];
  const chosen = chance.some([...both, ...makers], 1 + chance.below(3));
  const conditions = chosen.map((make) => make());
  // A port has a protocol already.
  return conditions.some(({ kind }) => kind === 'port')
    ? conditions.filter(({ kind }) => kind !== 'protocol')
    : conditions;
}
