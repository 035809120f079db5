/**
 * SCTP by raw sockets, for kernels that have NAT for it but no sockets of its own. Run inside a network namespace:
 *   receive          prints `SERVING`, then `FROM_ADDRESS DESTINATION_PORT` of the first packet that comes in
 *   send HOST PORT   sends one INIT
 */
import { writeSync } from 'node:fs';
import koffi from 'koffi';

const AF_INET = 2;
const SOCK_RAW = 3;
const IPPROTO_SCTP = 132;

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int, int, int)');
const recv = libc.func('intptr_t recv(int, _Out_ uint8_t *, size_t, int)');
const sendto = libc.func('intptr_t sendto(int, const uint8_t *, size_t, int, const uint8_t *, uint32_t)');

/** CRC-32C (RFC 9260, appendix A): conntrack drops an SCTP packet with a wrong one. */
function crc32c(data: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

/** An INIT chunk behind the common header (RFC 9260, 3.1 and 3.3.2). */
function initPacket(port: number): Buffer {
  const packet = Buffer.alloc(32);
  packet.writeUInt16BE(40000, 0);
  packet.writeUInt16BE(port, 2);
  packet.writeUInt8(1, 12);
  packet.writeUInt16BE(20, 14);
  packet.writeUInt32BE(0x67616e67, 16);
  packet.writeUInt32BE(65536, 20);
  packet.writeUInt16BE(1, 24);
  packet.writeUInt16BE(1, 26);
  packet.writeUInt32BE(1, 28);
  packet.writeUInt32LE(crc32c(packet), 8);
  return packet;
}

const [verb, host = '', port = '0'] = process.argv.slice(2);
const fd = socket(AF_INET, SOCK_RAW, IPPROTO_SCTP) as number;
if (fd < 0) throw new Error('no raw socket');
if (verb === 'receive') {
  writeSync(1, 'SERVING\n');
  const packet = Buffer.alloc(2048);
  recv(fd, packet, packet.length, 0);
  const header = ((packet[0] ?? 0) & 15) * 4;
  writeSync(1, `${packet.subarray(12, 16).join('.')} ${packet.readUInt16BE(header + 2)}\n`);
} else {
  const packet = initPacket(Number(port));
  const to = Buffer.from([AF_INET, 0, 0, 0, ...host.split('.').map(Number), 0, 0, 0, 0, 0, 0, 0, 0]);
  if (sendto(fd, packet, packet.length, 0, to, to.length) !== packet.length) throw new Error('not sent');
}
