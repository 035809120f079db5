import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ip } from '../model/address.ts';
import { announcement } from './neighbour-announcement.ts';

const mac = Buffer.from('02420a000010', 'hex');

test('a gratuitous ARP answer', () => {
  assert.equal(
    announcement('10.0.0.16' as Ip, mac).toString('hex'),
    `${'ffffffffffff'}02420a0000100806${'0001080006040002'}02420a0000100a00001002420a0000100a000010`,
  );
});

test('an unsolicited neighbour advertisement that overrides, with its checksum', () => {
  const frame = announcement('fd00:1::40' as Ip, mac);
  assert.equal(frame.subarray(0, 22).toString('hex'), '33330000000102420a00001086dd6000000000203aff');
  const message = frame.subarray(54);
  assert.deepEqual([frame.length, message.length, message[0], message[4]], [86, 32, 136, 0x20]);
  assert.equal(message.subarray(8, 24).toString('hex'), 'fd000001000000000000000000000040');
  assert.equal(message.subarray(24).toString('hex'), '020102420a000010');
  // Summed with the pseudo-header, a right checksum makes all ones (RFC 1071).
  const summed = Buffer.concat([frame.subarray(22, 54), Buffer.from('000000200000003a', 'hex'), message]);
  let sum = 0;
  for (let i = 0; i < summed.length; i += 2) sum += summed.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  assert.equal(sum, 0xffff);
});
