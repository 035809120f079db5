import type { Change, ElementResource, RulesetResource } from '../plan/resource.ts';
import { KernelError } from './kernel.ts';
import { type ListedTable, parseTable } from './nft-json.ts';
import type { Nftables } from './nftables.ts';

/** The one table of ours; nobody else's is read or changed. */
export const TABLE = 'ip gangway';
/** An empty chain whose name ends in the ruleset's version: nft 1.0.6 neither lists a table's comment in JSON nor changes it. */
const VERSION_CHAIN = 'version_';

export type TableChange = Change & { readonly resource: RulesetResource | ElementResource };

export function isTableChange(change: Change): change is TableChange {
  return change.resource.kind === 'ruleset' || change.resource.kind === 'element';
}

/** Elements by set, in nft's language: `add element ip gangway bridges { "a", "b" }`. */
export function elementCommands(
  verb: 'add' | 'delete',
  elements: readonly Pick<ElementResource, 'set' | 'key' | 'value'>[],
): string[] {
  const sets = new Map<string, string[]>();
  for (const { set, key, value } of elements) {
    const words = verb === 'delete' || value === undefined ? key : `${key} : ${value}`;
    const list = sets.get(set);
    if (list === undefined) sets.set(set, [words]);
    else list.push(words);
  }
  return [...sets].map(([set, list]) => `${verb} element ${TABLE} ${set} { ${list.join(', ')} }`);
}

/** The commands that replace the whole table, to be run as one transaction; `kept` are the elements it has now. */
export function rulesetCommands(ruleset: RulesetResource, kept: readonly ElementResource[]): string[] {
  if (!/^\w+$/.test(ruleset.version)) throw new RangeError(`not a ruleset version: ${ruleset.version}`);
  return [
    // `delete` of what is not there would fail; `add` of what is there is nothing.
    `add table ${TABLE}`,
    `delete table ${TABLE}`,
    ruleset.text,
    `add chain ${TABLE} ${VERSION_CHAIN}${ruleset.version}`,
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
  list(): (ListedTable & { readonly version: string | undefined }) | undefined {
    try {
      const table = parseTable(this.#nft.json(`list table ${TABLE}`));
      const marker = table.chains.find((chain) => chain.startsWith(VERSION_CHAIN));
      return { ...table, version: marker?.slice(VERSION_CHAIN.length) };
    } catch (error) {
      if (error instanceof KernelError && error.errno === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** The table in nft's language without elements and version, fit to be a RulesetResource's text. */
  text(): string {
    const marker = new RegExp(`\\n\\s*chain ${VERSION_CHAIN}\\w* \\{\\s*\\}`);
    return this.#nft.text(`list table ${TABLE}`).replace(marker, '');
  }

  #commitToWhatIsThere(changes: readonly TableChange[]): void {
    const table = this.list();
    const present = new Set(table?.elements.map((element) => `${element.set} ${element.key}`));
    const possible = changes.filter(({ op, resource }) => {
      if (op !== 'delete') return true;
      return resource.kind === 'ruleset'
        ? table !== undefined
        : present.has(`${resource.set} ${resource.key}`);
    });
    // A replaced element that is gone has nothing to delete.
    const deletable = possible.filter(
      ({ resource }) => resource.kind === 'ruleset' || present.has(`${resource.set} ${resource.key}`),
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
    for (const change of changes) {
      const { op, resource } = change;
      if (resource.kind === 'element') {
        if (op !== 'delete') added.push(resource);
      } else if (op === 'delete') {
        // The elements go with their table.
        return [`delete table ${TABLE}`];
      } else commands.push(...rulesetCommands(resource, this.list()?.elements ?? []));
    }
    return [...commands, ...elementCommands('delete', deleted), ...elementCommands('add', added)];
  }
}

function withResource(error: unknown, changes: readonly TableChange[]): unknown {
  if (!(error instanceof KernelError)) return error;
  return new KernelError(error.message, error.errno, changes[0]?.resource, { cause: error });
}
