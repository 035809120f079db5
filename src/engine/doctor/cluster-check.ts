import type { Firewall } from '../../kernel/firewall-rules.ts';
import { familyOf, type Ip, isLoopback } from '../../model/address.ts';
import { type Finding, findingsOf } from '../../model/finding.ts';
import type { ClusterNode } from '../../model/overlay.ts';
import type { ClusterFacts, HostLook, Passed } from './cluster-facts.ts';

/** VXLAN in IPv4: what a tunnel adds to a packet (RFC 7348 §4.3), without the outer Ethernet header. */
const OUTER = 50;
/** Clocks further apart than this confuse who reads logs, and certificates that are new. */
const APART_MS = 5000;

const called = ({ name, address }: ClusterNode): string => `${name} (${address})`;

const finding = findingsOf('cluster');

/** What of the cluster keeps containers of different hosts apart. */
export function checkCluster(facts: ClusterFacts): readonly Finding[] {
  const own = ownAddress(facts);
  const twice = sameAddress(facts);
  const told = new Set(twice.map(({ subject }) => subject));
  const others = facts.hosts
    .filter(({ node }) => !told.has(node.address))
    .flatMap((look) => host(look, facts));
  // Where nobody can answer us, the others are not to blame.
  const ours = own.some(({ severity }) => severity === 'error');
  return [
    ...store(facts),
    ...own,
    ...twice,
    ...(ours ? others.filter(({ kind }) => kind === 'host-away' || kind === 'clock-apart') : others),
  ];
}

function store({ state, since }: ClusterFacts): readonly Finding[] {
  if (state === 'connected') return [];
  return [
    finding(
      'store-away',
      'warning',
      'cluster store',
      `The cluster store is ${state === 'connecting' ? 'not reached yet' : 'away'}: nothing of the cluster can be changed, and other hosts do not hear of containers started now.`,
      [`state ${state} since ${new Date(since).toISOString()}`],
      [
        '# start etcd again, or see that its address in --cluster-store is reached from here',
        'gangway cluster',
      ],
    ),
  ];
}

/** What this host tells the others. */
function ownAddress(facts: ClusterFacts): readonly Finding[] {
  const { own, localAddresses, hosts } = facts;
  const again = (): string[] => [
    '# start gangwayd with --cluster-advertise and an interface or address that the other hosts reach',
    ...candidates(facts).map((address) => `# such as --cluster-advertise ${address}`),
  ];
  if (isLoopback(own.address)) {
    return [
      finding(
        'advertise-loopback',
        'error',
        called(own),
        `This host tells the others the address ${own.address}, which leads each of them to itself.`,
        [`--cluster-advertise is ${own.address}`],
        again(),
      ),
    ];
  }
  if (!localAddresses.includes(own.address)) {
    return [
      finding(
        'advertise-gone',
        'error',
        called(own),
        `This host tells the others the address ${own.address}, which it does not have any more.`,
        [`its addresses are ${localAddresses.filter((address) => !address.includes(':')).join(', ')}`],
        again(),
      ),
    ];
  }
  const alive = hosts.filter((each) => each.alive);
  const cut = alive.filter(
    ({ underlay }) => underlay?.advertised !== 'answers' && underlay?.any === 'answers',
  );
  if (cut.length > 0 && alive.every(({ answeredBy }) => answeredBy === undefined)) {
    return [
      finding(
        'advertise-unreachable',
        'error',
        called(own),
        `This host tells the others the address ${own.address}, and they do not reach it there.`,
        cut.map(({ node }) => `${called(node)} answers this host, but not when it asks from ${own.address}`),
        again(),
      ),
    ];
  }
  return [];
}

/** Addresses of this host beside the one it tells. */
const candidates = ({ own, localAddresses, hosts }: ClusterFacts): readonly string[] => {
  const others = hosts.map(({ node }) => node.address.split('.').slice(0, 2).join('.'));
  return localAddresses.filter(
    (address) => address !== own.address && others.some((start) => address.startsWith(`${start}.`)),
  );
};

function sameAddress({ own, hosts }: ClusterFacts): readonly Finding[] {
  const byAddress = Map.groupBy(
    [own, ...hosts.filter(({ alive }) => alive).map(({ node }) => node)],
    ({ address }) => address,
  );
  return [...byAddress].flatMap(([address, nodes]) =>
    nodes.length < 2 || isLoopback(address)
      ? []
      : [
          finding(
            'advertise-twice',
            'error',
            address,
            `${nodes.length} hosts tell the same address ${address}: tunnels to them all end at one.`,
            nodes.map(({ name, id }) => `${name} (${id.slice(0, 12)}) tells ${address}`),
            ['# start gangwayd on all but one of them with a --cluster-advertise of its own'],
          ),
        ],
  );
}

function host(look: HostLook, facts: ClusterFacts): readonly Finding[] {
  const { node, alive, answeredBy, passed, ahead } = look;
  const name = called(node);
  if (!alive) {
    return [
      finding(
        'host-away',
        'warning',
        name,
        `The host ${node.name} is away: its lease in the cluster store ended, and its containers are found by nobody.`,
        [
          answeredBy === node.id
            ? 'its end of the tunnel answers, so the host is there and cannot reach the store'
            : `its end of the tunnel does not answer${look.underlay?.any === 'answers' ? `, the host at ${node.address} does` : ''}`,
        ],
        [
          `# on ${name}: start gangwayd again; or, if it does not come back:`,
          `gangway cluster forget ${node.id.slice(0, 12)}`,
        ],
      ),
    ];
  }
  if (isLoopback(node.address)) {
    return [
      finding(
        'advertise-loopback',
        'error',
        name,
        `The host ${node.name} tells the others the address ${node.address}, which leads each of them to itself.`,
        [`hosts/${node.id} in the cluster store has ${node.address}`],
        [`# on ${node.name}: start gangwayd with --cluster-advertise and an address that other hosts reach`],
      ),
    ];
  }
  if (answeredBy === undefined) return [unanswered(look, facts)];
  if (answeredBy !== node.id) {
    const other =
      facts.hosts.find((each) => each.node.id === answeredBy)?.node.name ?? answeredBy.slice(0, 12);
    return [
      finding(
        'advertise-taken',
        'error',
        name,
        `At ${node.address}, which ${node.name} tells as its address, another host answers: ${other}.`,
        [`the answer by the tunnel came from ${answeredBy}, and not from ${node.id}`],
        [`# on ${node.name}: start gangwayd with --cluster-advertise and an address of its own`],
      ),
    ];
  }
  const found: Finding[] = [];
  if (passed !== undefined && passed.largest < passed.mtu) found.push(blackHole(look, passed, facts.uplink));
  if (ahead !== undefined && Math.abs(ahead) > APART_MS) {
    const seconds = Math.round(Math.abs(ahead) / 1000);
    found.push(
      finding(
        'clock-apart',
        'warning',
        name,
        `The clock of ${node.name} is ${seconds} s ${ahead > 0 ? 'ahead of' : 'behind'} this host's.`,
        [`its answer by the tunnel carried ${new Date(Date.now() + ahead).toISOString()}`],
        ['sudo timedatectl set-ntp true', `# on ${name} too`],
      ),
    );
  }
  return found;
}

function unanswered({ node, underlay }: HostLook, { own, firewall }: ClusterFacts): Finding {
  const name = called(node);
  const here = blockersOf(firewall, own.address);
  const answers = underlay?.advertised === 'answers';
  // What is closed here is reason enough, whatever else is.
  if (answers || here.length > 0) {
    return finding(
      'vxlan-blocked',
      'error',
      name,
      `UDP 4789 does not pass between this host and ${name}: containers of the two do not reach each other.`,
      [
        ...(answers ? [`${node.address} answers ${own.address} otherwise`] : []),
        'packets through the tunnel (VXLAN, UDP 4789) stay without an answer',
        ...here.map(({ seen }) => `here: ${seen}`),
      ],
      here.length > 0
        ? here.map(({ fix }) => fix)
        : [
            `# on ${name}: sudo gangway doctor names what of that host is closed`,
            '# between them: let UDP to port 4789 pass in both directions (security groups, routers)',
          ],
    );
  }
  return finding(
    'advertise-unreachable',
    'error',
    name,
    `The host ${node.name} tells the others the address ${node.address}, where nothing answers.`,
    [
      'the cluster store hears from it',
      `${node.address} answers neither the tunnel (UDP 4789), nor ICMP, nor TCP${underlay?.any === 'no-way' ? ': this host has no way there' : ''}`,
    ],
    [
      `# on ${node.name}: start gangwayd with --cluster-advertise and an address that this host reaches`,
      `ip route get ${node.address}`,
    ],
  );
}

function blackHole({ node }: HostLook, { mtu, largest, arrives }: Passed, uplink = 'UPLINK'): Finding {
  const [outer, wanted] = [largest + OUTER, mtu + OUTER];
  return finding(
    'mtu-black-hole',
    'error',
    called(node),
    `Large packets vanish on the way ${arrives ? `from ${called(node)}` : `to ${called(node)}`}: ${outer} bytes arrive, ${wanted} do not.`,
    [
      `through the tunnel, packets of up to ${largest} bytes pass and the MTU of overlay networks is ${mtu}`,
      arrives
        ? 'full packets arrive there, and their answers do not come back'
        : 'full packets do not arrive there',
    ],
    [
      `# give the way between the hosts an MTU of ${wanted}; or, on every host of the cluster:`,
      `sudo ip link set dev ${uplink} mtu ${outer}`,
    ],
  );
}

/** What of this host's firewall may keep tunnels out: rules that name their port, and chains that drop what no rule names. */
function blockersOf(
  { chains, rules }: Firewall,
  own: Ip,
): readonly { readonly seen: string; readonly fix: string }[] {
  const words = (text: string): string => text.replace(/"[^"]*"/g, '');
  const families = ['inet', familyOf(own) === 'ipv4' ? 'ip' : 'ip6'];
  const named = rules.filter(({ text }) => /\b4789\b/.test(words(text)));
  const dropping = named.filter(({ text }) => /\b(drop|reject)\b/.test(words(text)));
  const closed = chains.filter(
    ({ family, table, hook, policy }) =>
      hook === 'input' &&
      families.includes(family) &&
      policy === 'drop' &&
      !named.some(
        (rule) => rule.family === family && rule.table === table && /\baccept\b/.test(words(rule.text)),
      ),
  );
  return [
    ...dropping.map(({ family, table, chain, text, handle }) => ({
      seen: `table ${family} ${table}, chain ${chain}: ${text}`,
      fix: `sudo nft delete rule ${family} ${table} ${chain} handle ${handle}`,
    })),
    ...closed.map(({ family, table, chain }) => ({
      seen: `table ${family} ${table}, chain ${chain}: policy drop, and no rule accepts UDP 4789`,
      fix: `sudo nft insert rule ${family} ${table} ${chain} udp dport 4789 accept`,
    })),
  ];
}
