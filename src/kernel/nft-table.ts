import { TABLE_NAME } from '../plan/nft-text.ts';
import { type Change, type ElementResource, type RulesetResource, resourceKey } from '../plan/resource.ts';
import type { TableFamily } from '../plan/rule.ts';
import { KernelError } from './kernel.ts';
import { type ListedTable, parseTable } from './nft-json.ts';
import type { Nftables } from './nftables.ts';

export const TABLES: readonly TableFamily[] = ['ip', 'ip6', 'bridge'];
const nameOf = (table: TableFamily): string => `${table} ${TABLE_NAME}`;
/** An empty chain whose name ends in the ruleset's version: nft 1.0.6 neither lists a table's comment in JSON nor changes it. */
const VERSION_CHAIN = 'version_';

export type TableChange = Change & { readonly resource: RulesetResource | ElementResource };

export function isTableChange(change: Change): change is TableChange {
  return change.resource.kind === 'ruleset' || change.resource.kind === 'element';
}

/** Elements by set, in nft's language: `add element ip gangway bridges { "a", "b" }`. */
export function elementCommands(
  verb: 'add' | 'delete',
  elements: readonly Pick<ElementResource, 'table' | 'set' | 'key' | 'value'>[],
): string[] {
  const sets = new Map<string, string[]>();
  for (const { table, set, key, value } of elements) {
    const words = verb === 'delete' || value === undefined ? key : `${key} : ${value}`;
    const where = `${nameOf(table)} ${set}`;
    const list = sets.get(where);
    if (list === undefined) sets.set(where, [words]);
    else list.push(words);
  }
  return [...sets].map(([where, list]) => `${verb} element ${where} { ${list.join(', ')} }`);
}

/** The commands that replace a whole table, to be run as one transaction; `kept` are the elements it has now. */
export function rulesetCommands(ruleset: RulesetResource, kept: readonly ElementResource[]): string[] {
  if (!/^\w+$/.test(ruleset.version)) throw new RangeError(`not a ruleset version: ${ruleset.version}`);
  const table = nameOf(ruleset.table);
  return [
    // `delete` of what is not there would fail; `add` of what is there is nothing.
    `add table ${table}`,
    `delete table ${table}`,
    ruleset.text,
    `add chain ${table} ${VERSION_CHAIN}${ruleset.version}`,
    ...elementCommands(
      'add',
      kept.filter((element) => definesSet(ruleset.text, element.set)),
    ),
  ];
}

function definesSet(text: string, set: string): boolean {
  return new RegExp(`\\b(?:set|map)\\s+${set}\\s*\\{`).test(text);
}

export class NftTable {
  readonly #nft: Nftables;

  constructor(nft: Nftables) {
    this.#nft = nft;
  }

  /**
   * All of the changes in one transaction. A ruleset put in keeps the elements there are, in sets it still defines
   * (a set that changes its type needs a new name). Deleting an element that is gone is success.
   * @throws KernelError, and then nothing is changed
   */
  commit(changes: readonly TableChange[]): void {
    const commands = this.#commands(changes, changes);
    if (commands.length === 0) return;
    try {
      this.#run(commands);
    } catch (error) {
      const deletes = changes.some((change) => change.op !== 'create');
      if (!(deletes && error instanceof KernelError && error.errno === 'ENOENT'))
        throw withResource(error, changes);
      this.#commitToWhatIsThere(changes);
    }
  }

  /** The table as it is; undefined when there is none. Costs a listing. */
  list(family: TableFamily): (ListedTable & { readonly version: string | undefined }) | undefined {
    try {
      const table = parseTable(family, this.#nft.json(`list table ${nameOf(family)}`));
      const marker = table.chains.find((chain) => chain.startsWith(VERSION_CHAIN));
      return { ...table, version: marker?.slice(VERSION_CHAIN.length) };
    } catch (error) {
      if (error instanceof KernelError && error.errno === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** The table in nft's language without elements and version, fit to be a RulesetResource's text. */
  text(family: TableFamily): string {
    const marker = new RegExp(`\\n\\s*chain ${VERSION_CHAIN}\\w* \\{\\s*\\}`);
    return this.#nft.text(`list table ${nameOf(family)}`).replace(marker, '');
  }

  #commitToWhatIsThere(changes: readonly TableChange[]): void {
    const families = [...new Set(changes.map(({ resource }) => resource.table))];
    const present = new Set(
      families.flatMap((family) => {
        const table = this.list(family);
        return table === undefined ? [] : [`ruleset ${family}`, ...table.elements.map(resourceKey)];
      }),
    );
    const possible = changes.filter(
      ({ op, resource }) => op !== 'delete' || present.has(resourceKey(resource)),
    );
    // A replaced element that is gone has nothing to delete.
    const deletable = possible.filter(
      ({ resource }) => resource.kind === 'ruleset' || present.has(resourceKey(resource)),
    );
    const commands = this.#commands(possible, deletable);
    try {
      if (commands.length > 0) this.#run(commands);
    } catch (error) {
      throw withResource(error, changes);
    }
  }

  #run(commands: readonly string[]): void {
    // One line where possible: an error can then name the element.
    this.#nft.run(commands.join(commands.some((command) => command.includes('\n')) ? '\n' : '; '));
  }

  #commands(changes: readonly TableChange[], deletable: readonly TableChange[]): string[] {
    const commands: string[] = [];
    const added: ElementResource[] = [];
    const deleted: ElementResource[] = [];
    for (const change of deletable) {
      if (change.op !== 'create' && change.resource.kind === 'element') deleted.push(change.resource);
    }
    const gone = new Set<TableFamily>();
    for (const change of changes) {
      const { op, resource } = change;
      if (resource.kind === 'element') {
        if (op !== 'delete') added.push(resource);
      } else if (op === 'delete') {
        gone.add(resource.table);
        commands.push(`delete table ${nameOf(resource.table)}`);
      } else commands.push(...rulesetCommands(resource, this.list(resource.table)?.elements ?? []));
    }
    // The elements go with their table.
    const rest = (elements: readonly ElementResource[]) => elements.filter(({ table }) => !gone.has(table));
    return [...commands, ...elementCommands('delete', rest(deleted)), ...elementCommands('add', rest(added))];
  }
}

function withResource(error: unknown, changes: readonly TableChange[]): unknown {
  if (!(error instanceof KernelError)) return error;
  return new KernelError(error.message, error.errno, changes[0]?.resource, { cause: error });
}
