import { IS_GANGWAY } from './engine-under-test.ts';

/** A whole message, or what is in it. */
export type Words = string | RegExp;
/**
 * What is asked, status and words, and those of Docker Engine 28.5 where they are others: it asks the kernel or a
 * program, and hands on what that says; Gangway looks first.
 */
export type Row<Asked> = readonly [Asked, number, Words, onDockerd?: readonly [number, Words]];
export type Request = readonly [method: string, path: string, body?: string];

/** A row as it holds for the engine under test. */
export const chosen = <Asked>([asked, status, words, onDockerd]: Row<Asked>): readonly [
  Asked,
  number,
  Words,
] => (IS_GANGWAY || onDockerd === undefined ? [asked, status, words] : [asked, ...onDockerd]);
