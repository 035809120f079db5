import type { LegacyTool } from './rule.ts';
import { unquoted } from './token.ts';

/** Words of iptables-save; one with a blank in it has its quotes. */
export const legacyWords = (text: string): readonly string[] => text.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];

/** The command, for a shell, that takes a rule out as iptables-save has printed it. */
export const legacyDeletion = (tool: LegacyTool, table: string, chain: string, text: string): string =>
  `${tool} -t ${table} -D ${chain} ${legacyWords(text).map(shellWord).join(' ')}`;

/** iptables-save quotes what has a blank, with the signs of a shell as they are. */
function shellWord(word: string): string {
  const plain = unquoted(word).replaceAll(/\\(["'\\])/g, '$1');
  return /^[\w@%+=:,./!-]+$/.test(plain) ? plain : `'${plain.replaceAll("'", "'\\''")}'`;
}
