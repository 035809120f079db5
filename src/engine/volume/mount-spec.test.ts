import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import type { HostConfig } from '@docker/node-sdk';
import type { MountPoint } from '../container/container.ts';
import { type MountWish, parseBind, parseMounts } from './mount-spec.ts';

const parse = (
  hostConfig: HostConfig,
  volumes: readonly string[] = [],
  theirs: readonly MountPoint[] = [],
): readonly MountWish[] => parseMounts({ hostConfig, volumes, mountsOf: () => theirs });

test('-v: host path, named volume, anonymous volume, modes', () => {
  assert.deepEqual(parseBind('/srv/../data:/in/:ro,z'), {
    type: 'bind',
    source: '/data',
    destination: '/in',
    readOnly: true,
    mode: 'ro,z',
    propagation: 'rprivate',
  });
  assert.equal(parseBind('/a:/b:rslave').propagation, 'rslave');
  const named = parseBind('store:/in');
  assert.deepEqual(
    [named.type, named.name, named.mode, named.copyUp, named.anonymous],
    ['volume', 'store', 'z', true, false],
  );
  assert.equal(parseBind('store:/in:nocopy').copyUp, false);
  assert.equal(parseBind('/only').anonymous, true);
});

test('-v: mistakes in Docker’s words', () => {
  const wrong: readonly (readonly [string, string])[] = [
    ['/a:/b:ro:z', "invalid volume specification: '/a:/b:ro:z'"],
    [':/b', "invalid volume specification: ':/b'"],
    ['/a:/b:foo', 'invalid mode: foo'],
    ['/a:/b:ro,rw', 'invalid mode: ro,rw'],
    [
      '/a:b',
      `invalid volume specification: '/a:b': invalid mount config for type "volume": invalid mount path: 'b' mount path must be absolute`,
    ],
    [
      '/a:/',
      `invalid volume specification: '/a:/': invalid mount config for type "volume": invalid specification: destination can't be '/'`,
    ],
  ];
  for (const [spec, message] of wrong) {
    assert.throws(() => parseBind(spec), { code: 'INVALID_PARAMETER', message });
  }
});

test('--mount: what is missing or not there', () => {
  const wrong = (mount: object, message: string): void =>
    assert.throws(() => parse({ Mounts: [mount as never] }), { code: 'INVALID_PARAMETER', message });
  const prefix = 'invalid mount config for type "bind": ';
  wrong({ Type: 'bind', Target: '' }, `${prefix}field Target must not be empty`);
  wrong({ Type: 'bind', Target: '/in' }, `${prefix}field Source must not be empty`);
  wrong(
    { Type: 'bind', Target: '/in', Source: '/not/there' },
    `${prefix}bind source path does not exist: /not/there`,
  );
  wrong({ Type: 'odd', Target: '/in' }, 'invalid mount config for type "odd": mount type unknown');
  const [made] = parse({
    Mounts: [{ Type: 'tmpfs', Target: '/run', TmpfsOptions: { SizeBytes: 1024, Mode: 0o1770 } }],
  });
  assert.equal(made?.options, 'size=1024,mode=1770');
});

test('the later kind wins at one place; two of the user’s at one place are refused', () => {
  const theirs: MountPoint[] = [
    { type: 'volume', name: 'old', destination: '/data', readOnly: false, mode: '', propagation: '' },
    { type: 'volume', name: 'kept', destination: '/kept', readOnly: false, mode: '', propagation: '' },
  ];
  const found = parse(
    { VolumesFrom: ['other:ro'], Binds: ['new:/data'], Tmpfs: { '/run': 'size=1m' } },
    ['/data', '/image'],
    theirs,
  );
  const byTarget = new Map(found.map((wish) => [wish.destination, wish]));
  assert.deepEqual([...byTarget.keys()].toSorted(), ['/data', '/image', '/kept', '/run']);
  assert.equal(byTarget.get('/data')?.name, 'new');
  assert.equal(byTarget.get('/kept')?.readOnly, true);
  assert.equal(byTarget.get('/image')?.anonymous, true);
  assert.throws(
    () => parse({ Binds: ['a1:/x'], Mounts: [{ Type: 'bind', Source: tmpdir(), Target: '/x/' }] }),
    { message: 'Duplicate mount point: /x' },
  );
  assert.throws(() => parse({ VolumesFrom: ['other:odd'] }), { message: 'invalid mode: odd' });
  assert.throws(() => parse({ Tmpfs: { '/t': 'sizee=1' } }), { message: 'invalid tmpfs option "sizee"' });
});
