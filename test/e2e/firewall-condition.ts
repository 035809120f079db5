/** What a rule asks of a packet, for each of the tools. */
export type Condition =
  | { readonly kind: 'protocol'; readonly protocol: 'tcp' | 'udp' | 'icmp' }
  | {
      readonly kind: 'port';
      readonly protocol: 'tcp' | 'udp';
      readonly side: 'from' | 'to';
      readonly ports: readonly number[];
    }
  | {
      readonly kind: 'address';
      readonly side: 'from' | 'to';
      readonly address: string;
      readonly not: boolean;
    }
  | { readonly kind: 'interface'; readonly side: 'in' | 'out'; readonly name: string; readonly not: boolean }
  | { readonly kind: 'state'; readonly states: readonly string[] }
  | { readonly kind: 'direction'; readonly of: 'original' | 'reply' }
  /** Its destination was translated. */
  | { readonly kind: 'translated' }
  | { readonly kind: 'to-own-address' };

type Family = 'ipv4' | 'ipv6';

const braces = (values: readonly (string | number)[]): string =>
  values.length === 1 ? `${values[0]}` : `{ ${values.join(', ')} }`;

export function nftMatch(condition: Condition, family: Family): string {
  const ip = family === 'ipv4' ? 'ip' : 'ip6';
  switch (condition.kind) {
    case 'protocol':
      return `meta l4proto ${condition.protocol === 'icmp' && family === 'ipv6' ? 'ipv6-icmp' : condition.protocol}`;
    case 'port':
      return `${condition.protocol} ${condition.side === 'from' ? 'sport' : 'dport'} ${braces(condition.ports)}`;
    case 'address':
      return `${ip} ${condition.side === 'from' ? 'saddr' : 'daddr'} ${condition.not ? '!= ' : ''}${condition.address}`;
    case 'interface':
      return `${condition.side === 'in' ? 'iifname' : 'oifname'} ${condition.not ? '!= ' : ''}"${condition.name}"`;
    case 'state':
      return `ct state ${condition.states.join(',')}`;
    case 'direction':
      return `ct direction ${condition.of}`;
    case 'translated':
      return 'ct status dnat';
    case 'to-own-address':
      return 'fib daddr type local';
  }
}

/** For iptables and ip6tables, in either of their kinds. */
export function iptablesMatch(condition: Condition, family: Family): string {
  switch (condition.kind) {
    case 'protocol':
      return `-p ${condition.protocol === 'icmp' && family === 'ipv6' ? 'ipv6-icmp' : condition.protocol}`;
    case 'port': {
      const side = condition.side === 'from' ? 'sport' : 'dport';
      return condition.ports.length === 1
        ? `-p ${condition.protocol} --${side} ${condition.ports[0]}`
        : `-p ${condition.protocol} -m multiport --${side}s ${condition.ports.join(',')}`;
    }
    case 'address':
      return `${condition.not ? '! ' : ''}${condition.side === 'from' ? '-s' : '-d'} ${condition.address}`;
    case 'interface':
      return `${condition.not ? '! ' : ''}${condition.side === 'in' ? '-i' : '-o'} ${condition.name}`;
    case 'state':
      return `-m conntrack --ctstate ${condition.states.join(',').toUpperCase()}`;
    case 'direction':
      return `-m conntrack --ctdir ${condition.of.toUpperCase()}`;
    case 'translated':
      return '-m conntrack --ctstate DNAT';
    case 'to-own-address':
      return '-m addrtype --dst-type LOCAL';
  }
}
