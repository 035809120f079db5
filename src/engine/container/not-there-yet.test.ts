import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseHostConfig } from './not-there-yet.ts';

test('what is not there yet is refused by name, nothing else is', () => {
  const refused = { code: 'NOT_IMPLEMENTED', status: 501, message: /is not implemented by Gangway yet$/ };
  assert.throws(() => refuseHostConfig({ StorageOpt: { size: '1G' } }), refused);
  assert.throws(() => refuseHostConfig({ UsernsMode: 'private' }), refused);
  refuseHostConfig({ Links: [], StorageOpt: {}, UsernsMode: 'host' });
});
