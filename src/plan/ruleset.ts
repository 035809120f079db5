import type {
  Chain,
  Field,
  FirewallMark,
  KeyType,
  Match,
  Rule,
  Ruleset,
  SetDefinition,
  SetName,
} from './rule.ts';

const is = (field: Field, ...words: string[]): Match => ({ kind: 'words', field, words });
const isNot = (field: Field, ...words: string[]): Match => ({ kind: 'words', field, words, not: true });
const inSet = (set: SetName, ...fields: Field[]): Match => ({ kind: 'lookup', fields, set });
const notInSet = (set: SetName, ...fields: Field[]): Match => ({ kind: 'lookup', fields, set, not: true });

const accept = { kind: 'accept' } as const;
const drop = { kind: 'drop' } as const;
const masquerade = { kind: 'masquerade' } as const;

/** nft 1.0.6 wants the transport protocol matched before a key that has an address and a port. */
const transport = is('l4proto', 'tcp', 'udp', 'sctp');

const published: readonly Rule[] = [
  {
    id: 'published-on-address',
    matches: [transport],
    verdict: {
      kind: 'dnat',
      fields: ['daddr', 'l4proto', 'dport'],
      map: 'pub_addr',
      to: 'address-and-port',
    },
  },
  {
    id: 'published',
    matches: [transport],
    verdict: { kind: 'dnat', fields: ['l4proto', 'dport'], map: 'pub_any', to: 'address-and-port' },
  },
];

const toPublished = (id: string): Rule => ({
  id,
  matches: [is('daddr-type', 'local')],
  verdict: { kind: 'jump', chain: 'published' },
});

const directAccess: Rule = {
  id: 'direct-access',
  matches: [
    inSet('endpoints', 'daddr'),
    notInSet('home', 'daddr', 'iifname'),
    notInSet('trusted', 'daddr', 'iifname'),
  ],
  verdict: drop,
};
const isolation: Rule = { id: 'isolation', matches: [inSet('bridges', 'oifname')], verdict: drop };

/** What differs between the two families. */
interface FamilyWords {
  readonly loopback: string;
  readonly icmp: string;
  readonly address: KeyType;
}
const WORDS: Readonly<Record<'ip' | 'ip6', FamilyWords>> = {
  ip: { loopback: '127.0.0.0/8', icmp: 'icmp', address: 'ipv4_addr' },
  ip6: { loopback: '::1', icmp: 'ipv6-icmp', address: 'ipv6_addr' },
};

const chains = ({ loopback, icmp }: FamilyWords, acceptMark: FirewallMark | undefined): readonly Chain[] => {
  const marked: readonly Rule[] =
    acceptMark === undefined
      ? []
      : [{ id: 'accept-mark', matches: [{ kind: 'mark', ...acceptMark }], verdict: accept }];
  return [
    { name: 'published', rules: published },
    {
      // From a subnet to its own bridge: what was translated must come back the same way, the rest is no traffic of ours.
      name: 'at_home',
      rules: [
        { id: 'hairpin', matches: [is('ct-status', 'dnat')], verdict: masquerade },
        { id: 'stays-home', matches: [], verdict: accept },
      ],
    },
    {
      name: 'guard',
      base: { type: 'filter', hook: 'prerouting', priority: 'raw' },
      rules: [
        // route_localnet on the bridges would let a neighbour of the host reach what listens on 127.0.0.1.
        {
          id: 'loopback-guard',
          matches: [isNot('iifname', 'lo'), is('daddr', loopback)],
          verdict: drop,
        },
        // With br_netfilter, frames between the ports of an overlay's bridge: it has no address, nothing in it is
        // translated, and tracking them takes a tenth of the throughput.
        { id: 'overlay', matches: [inSet('overlays', 'iifname')], verdict: { kind: 'notrack' } },
      ],
    },
    {
      name: 'direct',
      base: { type: 'filter', hook: 'prerouting', priority: 'mangle' },
      rules: [
        // The cheapest question first: every packet of every connection passes here.
        ...marked,
        { id: 'known', matches: [is('ct-state', 'established', 'related')], verdict: accept },
        // After tracking, so that answers to a network without masquerade pass; before NAT, so that only what was
        // sent to the container's own address is seen.
        {
          ...directAccess,
          matches: [...directAccess.matches, inSet('bridges', 'iifname')],
          of: 'containers',
        },
        directAccess,
        {
          id: 'foreign-source',
          matches: [
            inSet('bridges', 'iifname'),
            inSet('endpoints', 'saddr'),
            notInSet('home', 'saddr', 'iifname'),
          ],
          verdict: drop,
        },
      ],
    },
    {
      name: 'prerouting',
      base: { type: 'nat', hook: 'prerouting', priority: 'dstnat' },
      rules: [toPublished('from-network')],
    },
    {
      name: 'output',
      base: { type: 'nat', hook: 'output', priority: 'dstnat' },
      rules: [toPublished('from-host')],
    },
    {
      name: 'forward',
      base: { type: 'filter', hook: 'forward', priority: 'filter' },
      rules: [
        // First, for all but the first packet of a connection it is the only one.
        { id: 'answers', matches: [is('ct-state', 'established', 'related')], verdict: accept },
        ...marked,
        { id: 'same-network', matches: [inSet('icc', 'iifname', 'oifname')], verdict: accept },
        { id: 'internal-out', matches: [inSet('internal', 'iifname')], verdict: drop },
        { id: 'internal-in', matches: [inSet('internal', 'oifname')], verdict: drop },
        {
          id: 'invalid',
          matches: [inSet('bridges', 'oifname'), is('ct-state', 'invalid')],
          verdict: drop,
        },
        {
          id: 'to-published',
          matches: [inSet('bridges', 'oifname'), is('ct-status', 'dnat')],
          verdict: accept,
        },
        {
          id: 'open-port',
          matches: [transport, inSet('open', 'daddr', 'l4proto', 'dport')],
          verdict: accept,
        },
        { id: 'open-ping', matches: [is('l4proto', icmp), inSet('routed', 'oifname')], verdict: accept },
        // To what is outside; networks stay apart.
        {
          id: 'unprotected',
          matches: [inSet('unprotected', 'oifname'), notInSet('bridges', 'iifname')],
          verdict: accept,
        },
        {
          ...isolation,
          // A subnet is at home behind one bridge: it leaves by the one it came by.
          matches: [
            ...isolation.matches,
            inSet('home', 'saddr', 'iifname'),
            inSet('home', 'saddr', 'oifname'),
          ],
          of: 'neighbours',
        },
        { ...isolation, matches: [...isolation.matches, inSet('bridges', 'iifname')], of: 'containers' },
        isolation,
      ],
    },
    {
      name: 'postrouting',
      base: { type: 'nat', hook: 'postrouting', priority: 'srcnat' },
      rules: [
        {
          id: 'from-loopback',
          matches: [is('saddr', loopback), inSet('bridges', 'oifname')],
          verdict: masquerade,
        },
        // On the source's subnet, not on interfaces: bridge-nf-call-iptables=1 shows other interfaces here.
        {
          id: 'at-home',
          matches: [inSet('home', 'saddr', 'oifname')],
          verdict: { kind: 'jump', chain: 'at_home' },
        },
        {
          id: 'egress-address',
          matches: [],
          verdict: { kind: 'snat', fields: ['saddr'], map: 'egress_to', to: 'address' },
        },
        { id: 'egress', matches: [inSet('egress_any', 'saddr')], verdict: masquerade },
      ],
    },
  ];
};

const sets = ({ address }: FamilyWords): readonly SetDefinition[] => [
  // `-p 8080:80`
  {
    name: 'pub_any',
    key: ['inet_proto', 'inet_service'],
    data: [address, 'inet_service'],
    counter: true,
  },
  // `-p 127.0.0.1:8080:80`
  {
    name: 'pub_addr',
    key: [address, 'inet_proto', 'inet_service'],
    data: [address, 'inet_service'],
    counter: true,
  },
  { name: 'bridges', key: ['ifname'] },
  { name: 'icc', key: ['ifname', 'ifname'] },
  { name: 'overlays', key: ['ifname'] },
  { name: 'internal', key: ['ifname'] },
  // Which subnet lives behind which bridge.
  { name: 'home', key: [address, 'ifname'], interval: true },
  { name: 'endpoints', key: [address] },
  { name: 'egress_any', key: [address], interval: true },
  { name: 'egress_to', key: [address], data: [address], interval: true },
  // Subnets whose published ports are reached directly from behind an interface (`trusted_host_interfaces`).
  { name: 'trusted', key: [address, 'ifname'], interval: true },
  // Ports that are open on a container's own address (gateway mode `routed`, direct routing).
  { name: 'open', key: [address, 'inet_proto', 'inet_service'] },
  { name: 'routed', key: ['ifname'] },
  // Gateway mode `nat-unprotected`.
  { name: 'unprotected', key: ['ifname'] },
];

/**
 * The fixed part of the engine's firewall, the same in both families. Networks, endpoints and ports are elements of its
 * sets and maps, never rules: every packet passes the same few lookups however many there are. No other table is read
 * or changed, and no policy here is other than accept: what is neither from nor to a bridge of ours is left to others.
 * @param acceptMark packets with it pass all that would drop them (`--bridge-accept-fwmark`)
 */
export const ruleset = (family: 'ip' | 'ip6', acceptMark?: FirewallMark): Ruleset => ({
  family,
  sets: sets(WORDS[family]),
  chains: chains(WORDS[family], acceptMark),
});

export const IPV4_RULESET = ruleset('ip');
export const IPV6_RULESET = ruleset('ip6');
