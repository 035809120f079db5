import type { Field, Match, Rule, Ruleset, SetDefinition } from './rule.ts';

type Guarded = 'mac' | 'ip' | 'ip6' | 'nd';

const guard = (id: string, guarded: Guarded, field: Field, ...before: readonly Match[]): Rule => ({
  id,
  matches: [
    ...before,
    { kind: 'lookup', fields: [field], set: `taken_${guarded}` },
    { kind: 'lookup', fields: ['iifname', field], set: `holds_${guarded}`, not: true },
  ],
  verdict: { kind: 'drop' },
});

const sets = (guarded: Guarded, type: SetDefinition['key'][number]): readonly SetDefinition[] => [
  { name: `taken_${guarded}`, key: [type] },
  { name: `holds_${guarded}`, key: ['ifname', type] },
];

/**
 * Keeps a container from sending with what is another's or the gateway's: MAC, IP source, ARP sender, neighbour
 * advertisement. An address that is nobody's may be used (a virtual address of keepalived), until somebody gets it.
 */
export const SPOOF_GUARD: Ruleset = {
  family: 'bridge',
  sets: [
    ...sets('mac', 'ether_addr'),
    ...sets('ip', 'ipv4_addr'),
    ...sets('ip6', 'ipv6_addr'),
    ...sets('nd', 'nd_target'),
  ],
  chains: [
    {
      name: 'spoof_guard',
      base: { type: 'filter', hook: 'prerouting', priority: 'raw' },
      rules: [
        guard('mac-spoof', 'mac', 'ether-saddr'),
        guard('ip-spoof', 'ip', 'ip-saddr'),
        guard('arp-spoof', 'ip', 'arp-saddr'),
        guard('ip6-spoof', 'ip6', 'ip6-saddr'),
        guard('nd-spoof', 'nd', 'nd-target', {
          kind: 'words',
          field: 'icmpv6-type',
          words: ['nd-neighbor-advert'],
        }),
      ],
    },
  ],
};
