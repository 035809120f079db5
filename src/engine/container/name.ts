import { randomInt } from 'node:crypto';
import { invalid } from '../../model/errors.ts';

const ADJECTIVES =
  'amber brisk calm clever daring deft eager fair fleet gentle glad hardy jolly keen kind lively lucid mellow merry nimble noble patient plucky proud quick quiet ready serene sharp silent smart snug stable steady sunny swift tidy trusty vivid warm wise witty'.split(
    ' ',
  );
/** People whose work sails in this code. */
const SURNAMES =
  'baran bayless berners boggs cerf clark davies dijkstra engelbart estrin feinler floyd hamilton hopper jacobson kahn karels kleinrock knuth lamport licklider lovelace metcalfe mockapetris perlman postel pouzin rekhter ritchie shannon spafford stallings thompson tomlinson torvalds turing wang wu'.split(
    ' ',
  );

const VALID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** `adjective_surname`; with a digit when `taken` says the plain one is not free. */
export function randomName(taken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const plain = `${pick(ADJECTIVES)}_${pick(SURNAMES)}`;
    const name = attempt < 3 ? plain : plain + randomInt(attempt * 10);
    if (!taken(name)) return name;
  }
}

function pick(words: readonly string[]): string {
  return words[randomInt(words.length)] ?? 'ship';
}

/** @returns the name without a leading slash. @throws EngineError INVALID_PARAMETER */
export function parseName(text: string): string {
  const name = text.replace(/^\//, '');
  if (!VALID.test(name)) {
    throw invalid(`Invalid container name (${text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
  }
  return name;
}
