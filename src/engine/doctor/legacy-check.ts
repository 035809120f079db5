import { parseLegacy } from '../../explain/foreign/legacy.ts';
import { legacyDeletion } from '../../explain/foreign/legacy-words.ts';
import type { ForeignChain, ForeignRule, ForeignTable, LegacyTool } from '../../explain/foreign/rule.ts';
import { overlaps, type Prefix, parseInterfaceAddress, prefixOf } from '../../model/address.ts';
import { type Finding, findingsOf } from '../../model/finding.ts';
import { familiesOf } from '../../model/network.ts';
import { globbed } from './firewall-check.ts';
import type { HostLook } from './host-facts.ts';

type Look = Pick<HostLook, 'networks' | 'legacy'>;

const finding = findingsOf('firewall');

/** The same as of nft's chains and rules (firewall-check.ts), of those that iptables-legacy made. */
export function checkLegacy(look: Look): readonly Finding[] {
  return look.legacy.flatMap((firewall) => {
    const tool: LegacyTool = firewall.family === 'ipv4' ? 'iptables-legacy' : 'ip6tables-legacy';
    if (firewall.listing === undefined) return [unlisted(tool, firewall.tables)];
    return parseLegacy(firewall).flatMap((table) => {
      const bridges = look.networks
        .filter((network) => network.driver === 'bridge')
        .filter((network) => network[firewall.family] !== undefined);
      const names = bridges.filter(({ internal }) => !internal).map(({ bridge }) => bridge.ifName);
      const subnets = bridges.flatMap((network) => familiesOf(network).map(({ subnet }) => subnet));
      const own = bridges.map(({ bridge }) => bridge.ifName);
      return [...closed(table, tool, names), ...dropping(table, tool, own, subnets)];
    });
  });
}

const unlisted = (tool: LegacyTool, tables: readonly string[]): Finding =>
  finding(
    'forward-rule',
    'note',
    tool,
    `There are tables of ${tool}, and its rules cannot be listed here.`,
    [`tables: ${tables.join(', ')}`, `${tool}-save does not run`],
    ['# install iptables, which has it'],
  );

const decisionOf = ({ statements }: ForeignRule) =>
  statements.flatMap((statement) => (statement.kind === 'verdict' ? [statement.verdict] : []))[0];

const stops = (rule: ForeignRule): boolean => ['drop', 'reject'].includes(decisionOf(rule)?.kind ?? '');
const isUnconditional = ({ text }: ForeignRule): boolean => text.startsWith('-j');

const place = (tool: LegacyTool, table: ForeignTable, chain: ForeignChain): string =>
  `${tool} table ${table.name}, chain ${chain.name}`;

/** What of a rule names interfaces or addresses. */
const valuesOf = ({ statements }: ForeignRule, field: RegExp): readonly string[] =>
  statements.flatMap((statement) =>
    statement.kind === 'match' && statement.fields.some((each) => field.test(each))
      ? [...statement.values].flatMap((entry) => (typeof entry === 'string' ? [] : entry.key))
      : [],
  );

/** The chain of forwarded packets lets through only what its rules accept. */
function closed(table: ForeignTable, tool: LegacyTool, bridges: readonly string[]): readonly Finding[] {
  return table.chains.flatMap((chain): Finding[] => {
    if (chain.base?.hook !== 'forward') return [];
    const last = chain.rules.at(-1);
    const why =
      chain.base.policy === 'drop'
        ? 'policy drop'
        : last !== undefined && stops(last) && isUnconditional(last)
          ? 'last rule drops'
          : undefined;
    const passes = (side: '-i' | '-o', name: string): boolean =>
      chain.rules.some(({ text }) => text === `${side} ${name} -j ACCEPT`);
    const stopped = bridges.filter((name) => !passes('-i', name) || !passes('-o', name));
    if (why === undefined || stopped.length === 0) return [];
    return [
      finding(
        'forward-chain',
        'error',
        `${tool} ${table.name} ${chain.name}`,
        `Chain ${chain.name} of ${tool}, table ${table.name}, stops forwarded packets: neither published ports nor the way out of containers work.`,
        [`${why}, and no rule before it lets ${stopped.join(', ')} through`],
        stopped.flatMap((name) =>
          (['-i', '-o'] as const)
            .filter((side) => !passes(side, name))
            .map((side) => `sudo ${tool} -t ${table.name} -I ${chain.name} ${side} ${name} -j ACCEPT`),
        ),
      ),
    ];
  });
}

/** Nothing that belongs to a connection. */
const HARMLESS = /^-m (conntrack --ctstate|state --state) INVALID -j DROP$/;

function dropping(
  table: ForeignTable,
  tool: LegacyTool,
  bridges: readonly string[],
  subnets: readonly Prefix[],
): readonly Finding[] {
  return forwarded(table).flatMap((chain) =>
    chain.rules
      .filter((rule) => stops(rule) && !isUnconditional(rule) && !HARMLESS.test(rule.text))
      .flatMap((rule): Finding[] => {
        const interfaces = valuesOf(rule, /^[io]ifname$/);
        const addresses = valuesOf(rule, /^ip6? [sd]addr$/).flatMap(prefixIn);
        const ours =
          interfaces.some((name) => bridges.some((own) => globbed(name, own))) ||
          addresses.some((prefix) => subnets.some((subnet) => overlaps(prefix, subnet)));
        // Somebody's rule about his own bridges is his.
        if (!ours && (interfaces.length > 0 || addresses.length > 0)) return [];
        return [
          finding(
            'forward-rule',
            ours ? 'error' : 'warning',
            `${tool} ${table.name} ${chain.name} ${rule.handle}`,
            ours
              ? 'A rule that is not ours drops packets of containers.'
              : 'A rule that is not ours drops some of the packets that are forwarded, those of containers too.',
            [`${place(tool, table, chain)}: ${rule.text}`],
            [`sudo ${legacyDeletion(tool, table.name, chain.name, rule.text)}`],
          ),
        ];
      }),
  );
}

function prefixIn(word: string): readonly Prefix[] {
  try {
    return [prefixOf(parseInterfaceAddress(word))];
  } catch {
    return [];
  }
}

/** Chains that a forwarded packet passes: at the hooks on its way, and those they jump to. */
function forwarded({ chains }: ForeignTable): readonly ForeignChain[] {
  const reached = new Set(
    chains.filter(({ base }) => ['prerouting', 'forward', 'postrouting'].includes(base?.hook ?? '')),
  );
  for (const { rules } of reached) {
    for (const rule of rules) {
      const verdict = decisionOf(rule);
      const to = verdict !== undefined && 'chain' in verdict ? verdict.chain : undefined;
      const chain = chains.find(({ name }) => name === to);
      // A set that grows is walked to its end.
      if (chain !== undefined) reached.add(chain);
    }
  }
  return [...reached];
}
