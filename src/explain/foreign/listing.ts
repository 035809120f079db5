import type { NamespaceFacts } from '../../model/kernel-facts.ts';
import { parseLegacy } from './legacy.ts';
import type { Entry, ForeignChain, ForeignRule, ForeignTable, TableFamily } from './rule.ts';
import { parseElement, parseStatements } from './statement.ts';
import { tokens } from './token.ts';

/** Every table of a namespace that is not the engine's, those of iptables-legacy too. */
export const foreignTables = ({
  firewall,
  legacy,
}: Pick<NamespaceFacts, 'firewall' | 'legacy'>): readonly ForeignTable[] => [
  ...firewall.map(parseListing).filter((table) => table !== undefined),
  ...legacy.flatMap(parseLegacy),
];

/**
 * Reads `nft -a -y list table` (nft(8)). What iptables made is there too, translated by nft itself. Text and not JSON:
 * libnftables 1.0.6 shows an extension of iptables in JSON by its name alone.
 */
export function parseListing(listing: string): ForeignTable | undefined {
  const lines = listing.split('\n').map((line) => line.trim());
  const head = lines.find((line) => line.startsWith('table '));
  const [, family, name] = /^table (\w+) (\S+) \{/.exec(head ?? '') ?? [];
  if (family === undefined || name === undefined) return undefined;
  const sets = new Map<string, readonly Entry[]>();
  const chains: ForeignChain[] = [];
  for (const { kind, name: block, body } of blocks(lines)) {
    if (kind === 'chain') chains.push(parseChain(block, body));
    else if (kind === 'set' || kind === 'map') sets.set(block, elementsOf(body.join(' ')));
  }
  return { family: family as TableFamily, name, sets, chains };
}

interface Block {
  readonly kind: string;
  readonly name: string;
  readonly body: readonly string[];
}

function blocks(lines: readonly string[]): readonly Block[] {
  const found: { kind: string; name: string; body: string[] }[] = [];
  let depth = 0;
  for (const line of lines) {
    const start = /^(chain|set|map|flowtable|counter|quota|ct \w+|limit|secmark|synproxy) (\S+) \{/.exec(
      line,
    );
    if (depth === 1 && start !== null) {
      found.push({ kind: start[1] ?? '', name: start[2] ?? '', body: [] });
    } else if (depth > 1 && !(depth === 2 && line === '}')) {
      found.at(-1)?.body.push(line);
    }
    depth += braces(line);
  }
  return found;
}

/** Text in quotes may have braces of its own. */
function braces(line: string): number {
  const bare = line.replaceAll(/"[^"]*"/g, '');
  return bare.split('{').length - bare.split('}').length;
}

function parseChain(name: string, body: readonly string[]): ForeignChain {
  const rules: ForeignRule[] = [];
  let base: ForeignChain['base'];
  for (const line of body) {
    const place = /^type (\w+) hook (\w+)(?: device.*)? priority (-?\d+);(?: policy (accept|drop);)?/.exec(
      line,
    );
    if (place !== null) {
      const [, type = '', hook = '', priority, policy] = place;
      base = { type, hook, priority: Number(priority), policy: policy === 'drop' ? 'drop' : 'accept' };
    } else {
      const rule = parseRule(line);
      if (rule !== undefined) rules.push(rule);
    }
  }
  return { name, ...(base && { base }), rules };
}

export function parseRule(line: string): ForeignRule | undefined {
  const [, text, handle] = /^(.*?) ?# handle (\d+)$/.exec(line) ?? [];
  if (text === undefined || text === '') return undefined;
  return { handle: Number(handle), text, statements: parseStatements(tokens(text)) };
}

function elementsOf(body: string): readonly Entry[] {
  const list = /elements = \{(.*)\}/.exec(body)?.[1];
  if (list === undefined) return [];
  return splitList(tokens(list)).map(parseElement);
}

const splitList = (list: readonly string[]): readonly (readonly string[])[] =>
  list
    .join('\0')
    .split('\0,\0')
    .map((part) => part.split('\0').filter((token) => token !== '' && token !== ','));
