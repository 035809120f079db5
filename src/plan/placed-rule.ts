/** A rule by where it stands; several of a chain may have one id (`Rule.of`). */
export interface PlacedRule {
  readonly chain: string;
  /** Its comment; undefined for one of somebody else. */
  readonly id: string | undefined;
}

/** The rules of a table in nft's language, also as the kernel lists it; those without a comment are left out. */
export function placedRules(text: string): readonly PlacedRule[] {
  const rules: PlacedRule[] = [];
  let chain = '';
  for (const [, name, id] of text.matchAll(/\bchain (\w+) \{|\bcomment "([^"]*)"/g)) {
    if (name !== undefined) chain = name;
    else rules.push({ chain, id });
  }
  return rules;
}

/** Those that are not there, or not as often as they are wanted. */
export function missingRules(
  wanted: readonly PlacedRule[],
  there: readonly PlacedRule[],
): readonly PlacedRule[] {
  const key = ({ chain, id }: PlacedRule): string => `${chain} ${id}`;
  const left = new Map<string, number>();
  for (const rule of there) left.set(key(rule), (left.get(key(rule)) ?? 0) + 1);
  return wanted.filter((rule) => {
    const count = left.get(key(rule)) ?? 0;
    left.set(key(rule), count - 1);
    return count <= 0;
  });
}
