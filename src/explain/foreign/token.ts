/** The words of a rule; text in quotes is one, with its quotes, and braces and commas stand alone. */
export function tokens(text: string): readonly string[] {
  return text.match(/"[^"]*"|[{},]|[^\s{},"]+/g) ?? [];
}

export const unquoted = (token: string): string => token.replace(/^"(.*)"$/, '$1');
