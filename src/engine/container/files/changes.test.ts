import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeNode, S_IFCHR } from '../../../kernel/rooted-path.ts';
import { listChanges } from './changes.ts';

const isRoot = process.getuid?.() === 0;

test('changes are told as docker diff tells them', { skip: !isRoot && 'needs root for whiteouts' }, () => {
  const base = mkdtempSync(join(tmpdir(), 'changes-'));
  try {
    for (const path of [
      'low/bin',
      'low/etc',
      'low/tmp',
      'up/bin',
      'up/etc',
      'up/n/s',
      'up/tmp',
      'up/dev',
      'up/gone',
    ])
      mkdirSync(join(base, path), { recursive: true });
    for (const file of [
      'low/bin/ls',
      'low/etc/passwd',
      'up/etc/passwd',
      'up/n/s/f',
      'up/etc/hosts',
      'up/.dockerenv',
    ])
      writeFileSync(join(base, file), file.endsWith('passwd') ? 'x' : '');
    makeNode(join(base, 'up/bin/ls'), S_IFCHR, 0, 0);
    makeNode(join(base, 'up/gone/never'), S_IFCHR, 0, 0);
    chmodSync(join(base, 'up/tmp'), 0o700);
    const changes = listChanges([
      {
        type: 'overlay',
        source: 'overlay',
        target: '',
        options: [`upperdir=${base}/up`, `lowerdir=${base}/low`],
      },
    ]);
    assert.deepEqual(
      changes.map(({ Path, Kind }) => `${'CAD'[Kind]} ${Path}`),
      ['C /bin', 'D /bin/ls', 'C /etc', 'C /etc/passwd', 'A /gone', 'A /n', 'A /n/s', 'A /n/s/f', 'C /tmp'],
    );
  } finally {
    rmSync(base, { recursive: true });
  }
});
