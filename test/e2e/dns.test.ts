import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { IS_GANGWAY } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { must } from './process.ts';
import { type Kind, TRUTH, type Upstream } from './upstreams.ts';

/** Name servers outside: of every kind one, one that is a closed port, and one that is no host at all. */
const ADDRESS: Record<Kind | 'closed' | 'absent', string> = {
  good: '198.51.100.61',
  dead: '198.51.100.62',
  slow: '198.51.100.63',
  lying: '198.51.100.64',
  truncated: '198.51.100.65',
  servfail: '198.51.100.66',
  refused: '198.51.100.67',
  closed: '198.51.100.68',
  absent: '198.51.100.69',
};
const PATIENCE_MS = 1000;
const HUNDREDS = 300;

let machine: Machine;
before(async () => {
  machine = await Machine.start({ flags: ['--dns', ADDRESS.good] });
  const folder = fileURLToPath(new URL('.', import.meta.url));
  await must([
    ...['musl-gcc', '-static', '-O1', '-Wall', '-Werror'],
    ...['-o', `${machine.directory}/ask-names`, `${folder}ask-names.c`],
  ]);
  const here = Object.entries(ADDRESS).filter(([kind]) => kind !== 'absent');
  for (const [, address] of here)
    await must(machine.inOutside(['ip', 'addr', 'add', `${address}/24`, 'dev', 'wire0']));
  const list: Upstream[] = here
    .filter(([kind]) => kind !== 'closed')
    .map(([kind, address]) => ({ kind: kind as Kind, address }));
  const program = [process.execPath, `${folder}upstreams.ts`, JSON.stringify(list)];
  await machine.spawnHelper(machine.inOutside(program), 'SERVING');
  await machine.dockerOk('network', 'create', 'names');
  const aliases = (letter: string): string[] =>
    Array.from({ length: HUNDREDS }, (_, i) => ['--network-alias', `${letter}${i}`]).flat();
  await keep('one', '--network-alias', 'shared', ...aliases('one'));
  await keep('two', '--network-alias', 'shared', ...aliases('two'));
  await keep('CamelCase', '--network-alias', 'shared', '--network-alias', 'MiXed.Dots');
  await machine.dockerOk(...run('glibc'), 'apache', 'sleep', '1000');
});
after(() => machine.close());

/** `docker run` up to the image: a container on the network `names` that has the musl program. */
function run(name: string, ...flags: string[]): string[] {
  const program = ['-v', `${machine.directory}/ask-names:/ask-names:ro`];
  return ['run', '-d', '--name', name, '--network', 'names', ...program, ...flags];
}
const keep = (name: string, ...flags: string[]): Promise<string> =>
  machine.dockerOk(...run(name, ...flags), 'busybox', 'sleep', '1000');
const addressOf = (name: string): Promise<string> => machine.address(name, 'names');

interface Asked {
  readonly name: string;
  readonly milliseconds: number;
  /** Addresses or names, or the library's error behind a `!`. */
  readonly answer: string;
}
const parse = (text: string): Asked[] =>
  text.split('\n').map((line) => {
    const [, name = '', milliseconds, answer = ''] = /^(\S+) (\d+) (.*)$/.exec(line) ?? [];
    return { name, milliseconds: Number(milliseconds), answer };
  });

/** Asks one after the other by musl's getaddrinfo or getnameinfo, in a container with the program. */
const musl = async (from: string, ...words: string[]): Promise<Asked[]> =>
  parse(await machine.dockerOk('exec', from, '/ask-names', ...words));

/** The same by glibc's getent from the database `of`; its `!` has no text. */
async function glibc(from: string, of: 'hosts' | 'ahosts' | 'ahostsv4', ...names: string[]) {
  const column = of === 'hosts' ? '$1 " " $2' : '$1';
  const script = `for name; do
      begin=$(date +%s%N)
      answer=$(getent ${of} "$name" | awk '{ print ${column} }' | awk '!seen[$0]++' | paste -sd,)
      echo "$name $((($(date +%s%N) - begin) / 1000000)) \${answer:-!}"
    done`;
  return parse(await machine.dockerOk('exec', from, 'bash', '-c', script, 'ask', ...names));
}

function inTime(asked: readonly Asked[], count: number): void {
  assert.equal(asked.length, count);
  for (const { name, milliseconds } of asked)
    assert.ok(milliseconds < PATIENCE_MS, `${name} took ${milliseconds} ms`);
}
const answers = (asked: readonly Asked[]): string[] => asked.map(({ answer }) => answer);

test('glibc and musl: a name, in any case, with dots, as name.network', async () => {
  const address = await addressOf('CamelCase');
  const names = ['CamelCase', 'camelcase', 'CAMELCASE', 'mixed.dots', 'MIXED.Dots', 'cAmElCaSe.names'];
  // The reference minds the case of the network's name.
  if (IS_GANGWAY) names.push('camelcase.NaMeS');
  const want = names.map(() => address);
  for (const asked of [
    await musl('one', ...names),
    await musl('one', '-4', ...names),
    await glibc('glibc', 'ahosts', ...names),
    await glibc('glibc', 'ahostsv4', ...names),
  ]) {
    inTime(asked, names.length);
    assert.deepEqual(answers(asked), want);
  }
  const [plain] = await glibc('glibc', 'hosts', 'camelcase');
  assert.equal(plain?.answer.split(' ')[0], address);
});

test('a name that has only an IPv4 address: no IPv6 one is an answer, not a failure, and is nobody else’s', async () => {
  const address = await addressOf('two');
  const six = await musl('one', '-6', 'two');
  assert.match(six[0]?.answer ?? '', /^!/);
  const both = await musl('one', 'two');
  assert.deepEqual(answers(both), [address]);
  // Asks for an IPv6 address first (getent.c).
  const plain = await glibc('glibc', 'hosts', 'two');
  assert.equal(plain[0]?.answer.split(' ')[0], address);
  inTime([...six, ...both, ...plain], 3);
  const lookUp = (name: string) => machine.docker('exec', 'one', 'nslookup', '-type=aaaa', `${name}.`);
  // The upstream knows no name without a dot: this one never came to it.
  assert.doesNotMatch((await lookUp('two')).stdout, /can't find|no servers/);
  assert.match((await lookUp('nobody')).stdout, /can't find nobody.: NXDOMAIN/);
});

test('a name of three containers: every client sees all, and every one of them comes first in its turn', async () => {
  const all = (await Promise.all(['one', 'two', 'CamelCase'].map(addressOf))).sort();
  const asked = [
    ...(await musl('one', '-4', ...Array<string>(40).fill('shared'))),
    ...(await glibc('glibc', 'ahostsv4', ...Array<string>(20).fill('shared'))),
  ];
  inTime(asked, 60);
  for (const { answer } of asked) assert.deepEqual(answer.split(',').sort(), all);
  // A resolver may sort what it gets (RFC 6724); nslookup shows what came.
  const script = 'for i in $(seq 40); do nslookup -type=a shared. | grep "^Address: " | head -n 1; done';
  const first = (await machine.dockerOk('exec', 'one', 'sh', '-c', script)).split('\n');
  assert.equal(first.length, 40);
  assert.deepEqual([...new Set(first)].sort(), all.map((address) => `Address: ${address}`).sort());
});

test('a name of thirty containers, more than a datagram holds: musl has many of them, glibc asks by TCP for all', {
  skip: !IS_GANGWAY,
}, async () => {
  const crowd = Array.from({ length: 30 }, (_, i) => `crowd${i}`);
  for (const name of crowd) await keep(name, '--network-alias', 'crowd');
  const all = (await Promise.all(crowd.map(addressOf))).sort();
  const byMusl = await musl('one', '-4', 'crowd');
  const seen = byMusl[0]?.answer.split(',') ?? [];
  assert.ok(seen.length >= 20 && seen.every((address) => all.includes(address)), byMusl[0]?.answer);
  const byGlibc = await glibc('glibc', 'ahostsv4', 'crowd');
  assert.deepEqual(byGlibc[0]?.answer.split(',').sort(), all);
  inTime([...byMusl, ...byGlibc], 2);
  await machine.dockerOk('rm', '-f', ...crowd);
});

test('from an address to its name', async () => {
  const address = await addressOf('two');
  const [muslName] = await musl('one', '-r', address);
  assert.equal(muslName?.answer, 'two.names');
  const [glibcName] = await glibc('glibc', 'hosts', address);
  assert.equal(glibcName?.answer, `${address} two.names`);
});

test('by TCP alone', async () => {
  const address = await addressOf('two');
  const byTcp = await machine.dockerOk(
    ...['exec', '-e', 'RES_OPTIONS=use-vc', 'glibc', 'getent', 'ahostsv4', 'two', 'one12'],
  );
  assert.ok(byTcp.startsWith(address), byTcp);
  assert.ok(byTcp.includes(await addressOf('one')), byTcp);
  const outside = await machine.dockerOk(
    ...['exec', '-e', 'RES_OPTIONS=use-vc', 'glibc', 'getent', 'ahostsv4', 'by-tcp.lan.test'],
  );
  assert.ok(outside.startsWith(TRUTH), outside);
});

test(`${HUNDREDS} aliases on each of two containers: each answers in time, and none is left when its container is gone`, async () => {
  const names = (letter: string): string[] => Array.from({ length: HUNDREDS }, (_, i) => `${letter}${i}`);
  for (const letter of ['one', 'two']) {
    const address = await addressOf(letter);
    const asked = await musl('one', ...names(letter));
    inTime(asked, HUNDREDS);
    assert.deepEqual(new Set(answers(asked)), new Set([address]));
  }
  const few = names('two').slice(0, 60);
  const byGlibc = await glibc('glibc', 'ahostsv4', ...few);
  inTime(byGlibc, few.length);
  assert.deepEqual(new Set(answers(byGlibc)), new Set([await addressOf('two')]));
  await machine.dockerOk('rm', '-f', 'two');
  const after = await musl('one', ...names('two'));
  inTime(after, HUNDREDS);
  for (const { name, answer } of after) assert.match(answer, /^!/, name);
});

/** Upstreams of one container, in the order of its `--dns`: wherever one of them works, nothing waits a second. */
const TABLE: readonly (readonly (keyof typeof ADDRESS)[])[] = [
  ['good'],
  ['dead', 'good'],
  ['dead', 'dead', 'good'],
  ['absent', 'good'],
  ['closed', 'good'],
  ['slow', 'good'],
  ['slow', 'dead', 'good'],
  ['lying'],
  ['lying', 'dead'],
  ['dead', 'lying'],
  ['truncated'],
  ['dead', 'truncated'],
  ['truncated', 'dead'],
  ['servfail', 'good'],
  ['refused', 'slow', 'good'],
];

for (const kinds of TABLE) {
  const name = kinds.join('-');
  test(`upstreams ${kinds.join(', ')}: every question is answered within a second, truly`, {
    skip: !IS_GANGWAY && name !== 'good',
  }, async () => {
    const servers = kinds.flatMap((kind) => ['--dns', ADDRESS[kind]]);
    await machine.dockerOk(...run(name, ...servers), 'apache', 'sleep', '1000');
    const names = (client: string) => Array.from({ length: 10 }, (_, i) => `${client}${i}.${name}.lan.test`);
    const byGlibc = await glibc(name, 'ahosts', ...names('glibc'));
    inTime(byGlibc, 10);
    assert.deepEqual(new Set(answers(byGlibc)), new Set([TRUTH]));
    // musl before 1.2.4 never asks by TCP: what is truncated to nothing is nothing to it.
    if (!kinds.includes('truncated')) {
      const byMusl = await musl(name, ...names('musl'));
      inTime(byMusl, 10);
      assert.deepEqual(new Set(answers(byMusl)), new Set([TRUTH]));
    }
    const at =
      'for i in $(seq 30); do getent ahostsv4 "many$i.lan.test" >/tmp/$i & done; wait; cat /tmp/[0-9]*';
    const begin = performance.now();
    const many = await machine.dockerOk('exec', name, 'bash', '-c', at);
    // Thirty programs start here as well; one that had to ask again would have waited five seconds (resolv.conf(5)).
    assert.ok(performance.now() - begin < 3 * PATIENCE_MS, 'thirty at once');
    assert.equal(many.match(new RegExp(`^${TRUTH.replaceAll('.', '\\.')} +STREAM`, 'gm'))?.length, 30);
    // Names of containers do not depend on any of this.
    assert.equal((await glibc(name, 'ahostsv4', 'one'))[0]?.answer, await addressOf('one'));
    await machine.dockerOk('rm', '-f', name);
  });
}
