import type { ElementResource } from '../plan/resource.ts';
import type { TableFamily } from '../plan/rule.ts';

/** Reading libnftables-json(5) listings, as nft 1.0.6 and later write them. */

export interface ListedTable {
  readonly chains: readonly string[];
  readonly sets: readonly string[];
  readonly elements: readonly ElementResource[];
}

export function parseTable(family: TableFamily, listing: unknown): ListedTable {
  const chains: string[] = [];
  const sets: string[] = [];
  const elements: ElementResource[] = [];
  for (const entry of asArray(field(listing, 'nftables'))) {
    const chain = field(field(entry, 'chain'), 'name');
    if (typeof chain === 'string') chains.push(chain);
    const set = field(entry, 'set') ?? field(entry, 'map');
    const name = field(set, 'name');
    if (typeof name !== 'string') continue;
    sets.push(name);
    const keyType = typeWords(field(set, 'type'));
    const valueType = typeWords(field(set, 'map'));
    for (const listed of asArray(field(set, 'elem'))) {
      elements.push({
        kind: 'element',
        table: family,
        set: name,
        ...parseElement(keyType, valueType, listed),
      });
    }
  }
  return { chains, sets, elements };
}

function parseElement(
  keyType: readonly string[],
  valueType: readonly string[],
  listed: unknown,
): Pick<ElementResource, 'key' | 'value'> {
  if (valueType.length === 0) return { key: expression(listed, keyType) };
  const [key, value] = asArray(listed);
  return { key: expression(key, keyType), value: expression(value, valueType) };
}

/** `ifname` needs quotes, the other types of ours do not. */
function expression(value: unknown, types: readonly string[]): string {
  const element = field(value, 'elem');
  if (element !== undefined) return expression(field(element, 'val'), types);
  const parts = field(value, 'concat');
  if (parts !== undefined)
    return asArray(parts)
      .map((part, i) => scalar(part, types[i]))
      .join(' . ');
  return scalar(value, types[0]);
}

function scalar(value: unknown, type: string | undefined): string {
  const prefix = field(value, 'prefix');
  if (prefix !== undefined) return `${field(prefix, 'addr')}/${field(prefix, 'len')}`;
  const range = field(value, 'range');
  if (range !== undefined)
    return asArray(range)
      .map((end) => scalar(end, type))
      .join('-');
  if (typeof value === 'object' && value !== null) return verdict(value);
  return type === 'ifname' ? `"${value}"` : String(value);
}

/** `{"drop": null}`, `{"jump": {"target": "chain"}}`. */
function verdict(value: object): string {
  const [[word, operand] = ['', null]] = Object.entries(value);
  const target = field(operand, 'target');
  return target === undefined ? word : `${word} ${target}`;
}

/** A type is a word, a list of words, or words joined by ` . ` (the data of a map). */
function typeWords(type: unknown): readonly string[] {
  if (Array.isArray(type)) return type.map(String);
  return typeof type === 'string' ? type.split(' . ') : [];
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

const asArray = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
