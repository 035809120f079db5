/** A command of a tutorial with what it printed, out of a fenced `console` block. */
export interface Exchange {
  /** Whose prompt it is: `$` this host; `outside$`, `one$`, `two$` others. */
  readonly where: string;
  /** Continuation lines and all. */
  readonly command: string;
  readonly output: readonly string[];
}

const FENCE = /^```console\n([\s\S]*?)^```$/gm;
const PROMPT = /^([a-z]*)\$ (.*)$/;

/** All exchanges of a page in Markdown, in order. */
export function exchanges(page: string): readonly Exchange[] {
  return [...page.matchAll(FENCE)].flatMap(([, block = '']) => ofBlock(block));
}

function ofBlock(block: string): readonly Exchange[] {
  const found: { where: string; command: string; output: string[] }[] = [];
  for (const line of block.replace(/\n$/, '').split('\n')) {
    const last = found.at(-1);
    const prompt = PROMPT.exec(line);
    if (prompt !== null) found.push({ where: prompt[1] ?? '', command: prompt[2] ?? '', output: [] });
    else if (last === undefined) throw new Error(`a block begins without a prompt: ${line}`);
    else if (last.command.endsWith('\\') && last.output.length === 0) last.command += `\n${line}`;
    else last.output.push(line);
  }
  return found;
}

/** The page with these outputs in place of its own. */
export function withOutputs(page: string, outputs: readonly (readonly string[])[]): string {
  let next = 0;
  return page.replace(FENCE, (_, block: string) => {
    const lines = ofBlock(block).flatMap(({ where, command }) => [
      `${where}$ ${command}`,
      ...(outputs[next++] ?? []),
    ]);
    return `\`\`\`console\n${lines.join('\n')}\n\`\`\``;
  });
}

/** What is another on each machine: it has to be the same thing wherever the page has the same word. */
const WORDS: readonly (readonly [kind: string, pattern: RegExp])[] = [
  ['id', /\b[0-9a-f]{12}(?:[0-9a-f]{52})?\b/],
  ['host id', /\b[0-9a-f]{8}-[0-9a-f]{3}\b/],
  ['MAC', /\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b/],
  ['address', /\b\d{1,3}(?:\.\d{1,3}){3}\b/],
  ['IPv6 address', /\b(?:fe80|fd[0-9a-f]{2}):[0-9a-f:]+\b/],
  ['veth', /\bveth[0-9a-f]{7}\b/],
];
/** Numbers that tell how long, how much and how many so far: any will do, and the room they take. */
const MEASURES: readonly (readonly [RegExp, string])[] = [
  [/(?:\d+\.\d+\/){2}\d+\.\d+/g, 'N'],
  [/ [↓↑][\d.]+ ?[kMGT]?B/g, ''],
  [/\b\d+(?:\.\d+)? ?(?:ms|[kMGT]?B|[kMG]?bit\/s|seconds?|minutes?|s)\b/g, 'MEASURE'],
  [/\b(time|seq|ttl|id|sport|dport|packets|bytes|timeout)[= ]\d+(?:\.\d+)?/g, '$1 N'],
  [/^(icmp|udp|tcp) +\d+ \d+/g, '$1 N'],
  [/^\d+: /g, 'N: '],
  [/@if\d+/g, '@ifN'],
  [/\b\d+ connections?\b/g, 'N connections'],
  [/\[\d+\]/g, '[N]'],
  [/\(pid \d+\)/g, '(pid N)'],
  [/:\d{5}\b/g, ':PORT'],
  [/[─━]+/g, '─'],
  [/\s+/g, ' '],
];

/** Tells whether outputs fit those of a page; remembers what each of its words stands for. */
export class Likeness {
  readonly #meaning = new Map<string, string>();
  readonly #taken = new Map<string, string>();

  /** @returns what does not fit; undefined when all does. A line `…` in the page stands for any lines. */
  differs(page: readonly string[], printed: readonly string[]): string | undefined {
    const kept = [new Map(this.#meaning), new Map(this.#taken)] as const;
    const fault = this.#compare(unwrapped(page), unwrapped(printed));
    if (fault !== undefined) {
      // A later try may be another output.
      this.#restore(this.#meaning, kept[0]);
      this.#restore(this.#taken, kept[1]);
    }
    return fault;
  }

  #restore(map: Map<string, string>, before: ReadonlyMap<string, string>): void {
    map.clear();
    for (const [key, value] of before) map.set(key, value);
  }

  #compare(page: readonly string[], printed: readonly string[]): string | undefined {
    let at = 0;
    for (const [i, wanted] of page.entries()) {
      if (wanted.trim() === '…') {
        const next = page[i + 1];
        if (next === undefined) return undefined;
        while (at < printed.length && this.#line(next, printed[at] ?? '') !== undefined) at++;
        continue;
      }
      const got = printed[at++];
      if (got === undefined) return `nothing where the page has ${JSON.stringify(wanted)}`;
      const fault = this.#line(wanted, got);
      if (fault !== undefined) return fault;
    }
    return at < printed.length ? `more than the page has: ${JSON.stringify(printed[at])}` : undefined;
  }

  #line(wanted: string, got: string): string | undefined {
    const [page, printed] = [split(wanted), split(got)];
    if (page.shape !== printed.shape)
      return `${JSON.stringify(got)} where the page has ${JSON.stringify(wanted)}`;
    for (const [i, word] of page.words.entries()) {
      const now = printed.words[i] ?? '';
      const before = this.#meaning.get(word);
      const other = this.#taken.get(now);
      if (before !== undefined && before !== now)
        return `${now} where the page has ${word}, which was ${before}`;
      if (other !== undefined && other !== word)
        return `${now} where the page has ${word}: that was ${other}`;
      this.#meaning.set(word, now);
      this.#taken.set(now, word);
    }
    return undefined;
  }
}

/** An answer in a sentence is one line: where it breaks is a matter of how long its words are. */
function unwrapped(lines: readonly string[]): readonly string[] {
  const found: string[] = [];
  for (const line of lines) {
    const last = found.at(-1);
    if (last !== undefined && line !== '' && /^(?:Yes|No): /.test(last))
      found[found.length - 1] = `${last} ${line}`;
    else found.push(line);
  }
  return found;
}

/** A line's shape, and the words in it that differ from machine to machine; long ids are known by their short ones. */
function split(line: string): { readonly shape: string; readonly words: readonly string[] } {
  const words: string[] = [];
  let shape = line.trimEnd();
  const all = new RegExp(WORDS.map(([, pattern]) => `(${pattern.source})`).join('|'), 'g');
  shape = shape.replace(all, (word) => {
    const [kind = ''] = WORDS.find(([, pattern]) => new RegExp(`^${pattern.source}$`).test(word)) ?? [];
    words.push(kind === 'id' ? word.slice(0, 12) : word);
    return kind;
  });
  for (const [pattern, by] of MEASURES) shape = shape.replace(pattern, by);
  return { shape, words };
}
