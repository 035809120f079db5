import type { Family } from '../../model/address.ts';
import { legacyWords } from './legacy-words.ts';
import type { Entry, Statement, Verdict } from './rule.ts';
import { ALL_BITS } from './statement.ts';
import { unquoted } from './token.ts';

/**
 * A rule as iptables-save prints it, without its chain. What is not understood is `unknown`, and never left out.
 * @param chains those of the table, which a rule may jump to
 */
export function parseLegacyRule(
  text: string,
  family: Family,
  chains: ReadonlySet<string>,
): readonly Statement[] {
  const words = legacyWords(text);
  const found: Statement[] = [];
  let module = '';
  for (let at = 0; at < words.length; ) {
    const not = words[at] === '!';
    if (not) at++;
    const option = words[at++] ?? '';
    if (option === '-j' || option === '-g') {
      const chain = words[at] ?? '';
      const kind = option === '-g' ? 'goto' : 'jump';
      const target: readonly Statement[] = chains.has(chain)
        ? [{ kind: 'verdict', verdict: { kind, chain } }]
        : parseTarget(chain, words.slice(at + 1));
      return [...found, ...target];
    }
    if (option === '-m') {
      module = words[at++] ?? '';
      // Without an option of its own it asks something already.
      if (module === 'socket' || module === 'rpfilter') {
        const options = [];
        while (module === 'rpfilter' && words[at]?.startsWith('--')) options.push(words[at++]);
        found.push(module === 'rpfilter' ? rpfilter(options) : unknown(module));
      }
      continue;
    }
    let count = ARITY[option] ?? 0;
    if (!(option in ARITY)) {
      while (at + count < words.length && !/^(-|!$)/.test(words[at + count] ?? '')) count++;
    }
    const values = words.slice(at, at + count).map(unquoted);
    at += count;
    if (option === '--comment') continue;
    found.push(
      parseMatch(`${module} ${option}`, values, not, family) ?? unknown(`${option} ${values.join(' ')}`),
    );
  }
  return found;
}

/** A comment may look like an option. */
const ARITY: Readonly<Record<string, number>> = { '--comment': 1, '--tcp-flags': 2, '-f': 0 };

const unknown = (text: string): Statement => ({ kind: 'unknown', text });

function parseMatch(
  option: string,
  [value = '', second = '']: readonly string[],
  not: boolean,
  family: Family,
): Statement | undefined {
  const match = (field: string, values: readonly string[], mask?: number): Statement => ({
    kind: 'match',
    fields: [field],
    not,
    ...(mask !== undefined && { mask }),
    values: values.map((each): Entry => ({ key: [each] })),
  });
  const words = value.split(',');
  const ip = family === 'ipv4' ? 'ip' : 'ip6';
  const [, name = ''] = /(-\S+)$/.exec(option) ?? [];
  switch (name) {
    case '-s':
    case '-d':
      // A mask with holes is no prefix.
      return /\/\d+$/.test(value) ? match(`${ip} ${name === '-s' ? 'saddr' : 'daddr'}`, [value]) : undefined;
    case '-i':
    case '-o':
      return match(name === '-i' ? 'iifname' : 'oifname', [value.replace(/\+$/, '*')]);
    case '-p':
      return match('l4proto', [value]);
    case '-f':
      // The packets that are followed are whole.
      return match('l4proto', []);
    case '--dport':
    case '--sport':
    case '--dports':
    case '--sports':
      return match(`th ${name.startsWith('--d') ? 'dport' : 'sport'}`, words.map(range));
    case '--tcp-flags':
      return match('tcp flags', flags(value, second));
  }
  switch (option) {
    case 'conntrack --ctstate':
    case 'state --state':
      if (value === 'DNAT') return match('ct status', ['dnat']);
      return words.includes('DNAT') || words.includes('SNAT')
        ? undefined
        : match('ct state', value.toLowerCase().split(','));
    case 'conntrack --ctdir':
      return match('ct direction', [value.toLowerCase()]);
    case 'mark --mark':
    case 'connmark --mark': {
      const [wanted, mask] = value.split('/').map(Number);
      const field = option.startsWith('mark') ? 'mark' : 'ct mark';
      return wanted === undefined ? undefined : match(field, [String(wanted)], mask);
    }
    case 'addrtype --dst-type':
    case 'addrtype --src-type':
      return match(`fib ${option.includes('dst') ? 'daddr' : 'saddr'} type`, value.toLowerCase().split(','));
    case 'iprange --src-range':
    case 'iprange --dst-range':
      return family === 'ipv6'
        ? undefined
        : match(`ip ${option.includes('src') ? 'saddr' : 'daddr'}`, [value]);
    case 'icmp --icmp-type':
      return match('icmp type', ECHO[value] ?? [value]);
    case 'icmp6 --icmpv6-type':
      return match('icmpv6 type', ECHO[value] ?? [value]);
    default:
      return undefined;
  }
}

const range = (ports: string): string => ports.replace(':', '-');

const ECHO: Readonly<Record<string, readonly string[]>> = {
  '8': ['echo-request'],
  '8/0': ['echo-request'],
  '0': ['echo-reply'],
  '0/0': ['echo-reply'],
  '128': ['echo-request'],
  '128/0': ['echo-request'],
  '129': ['echo-reply'],
  '129/0': ['echo-reply'],
  any: ['echo-request', 'echo-reply'],
  '255': ['echo-request', 'echo-reply'],
};

/** Which of a connection's first segment and its answer has, of the flags in `mask`, those of `wanted` and no other. */
function flags(mask: string, wanted: string): readonly string[] {
  const looked = new Set(mask.split(','));
  const set = wanted === 'NONE' ? '' : wanted.split(',').toSorted().join();
  const has = (segment: readonly string[]): boolean =>
    segment
      .filter((flag) => looked.has(flag))
      .toSorted()
      .join() === set;
  return [...(has(['SYN']) ? ['syn'] : []), ...(has(['SYN', 'ACK']) ? ['syn-ack'] : [])];
}

function rpfilter(options: readonly (string | undefined)[]): Statement {
  const others = options.filter((option) => option !== '--invert' && option !== '--validmark');
  if (others.length > 0) return unknown('rpfilter');
  const wanted = options.includes('--invert') ? 'missing' : 'exists';
  return { kind: 'match', fields: ['fib saddr . iif oif'], not: false, values: [{ key: [wanted] }] };
}

/** They change nothing that is looked at here, and end nothing (iptables-extensions(8)). */
const EFFECTS: ReadonlySet<string> = new Set(
  'LOG NFLOG ULOG TRACE AUDIT TCPMSS TCPOPTSTRIP TOS DSCP ECN TTL HL CLASSIFY CHECKSUM RATEEST LED IDLETIMER SECMARK CONNSECMARK TEE SET ACCOUNT'.split(
    ' ',
  ),
);

function parseTarget(target: string, options: readonly string[]): readonly Statement[] {
  const verdict = (of: Verdict): readonly Statement[] => [{ kind: 'verdict', verdict: of }];
  // What it does may be a drop: where it matches, nothing can be told.
  const untold: readonly Statement[] = [unknown(target), ...verdict({ kind: 'drop' })];
  const value = (name: string): string | undefined => options[options.indexOf(name) + 1 || options.length];
  if (EFFECTS.has(target)) return [{ kind: 'effect' }];
  switch (target) {
    case 'ACCEPT':
      return verdict({ kind: 'accept' });
    case 'DROP':
      return verdict({ kind: 'drop' });
    case 'REJECT':
      return verdict({ kind: 'reject' });
    case 'RETURN':
      return verdict({ kind: 'return' });
    case 'MASQUERADE':
      return verdict({ kind: 'masquerade' });
    case 'DNAT':
    case 'SNAT': {
      const to = value(target === 'DNAT' ? '--to-destination' : '--to-source') ?? '';
      return SINGLE.test(to) ? verdict({ kind: target === 'DNAT' ? 'dnat' : 'snat', to }) : untold;
    }
    case 'REDIRECT': {
      const to = value('--to-ports');
      if (to === undefined) return verdict({ kind: 'redirect', to: '' });
      return /^\d+$/.test(to) ? verdict({ kind: 'redirect', to: `:${to}` }) : untold;
    }
    case 'MARK': {
      const [mark, mask] = value('--set-xmark')?.split('/').map(Number) ?? [];
      return [{ kind: 'set-mark', value: mark, mask: mask ?? ALL_BITS }];
    }
    case 'CONNMARK':
      return options.includes('--restore-mark')
        ? [{ kind: 'set-mark', value: undefined, mask: 0 }]
        : [{ kind: 'effect' }];
    case 'NOTRACK':
      return [{ kind: 'notrack' }];
    case 'CT':
      return options.includes('--notrack') ? [{ kind: 'notrack' }] : [{ kind: 'effect' }];
    default:
      return untold;
  }
}

/** One address, one port, or both. */
const SINGLE = /^([\d.]+|\[[\da-f:]+\]|[\da-f:]+:[\da-f]*)?(:\d+)?$/;
