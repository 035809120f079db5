export type StreamName = 'stdin' | 'stdout' | 'stderr';

const CODES: Readonly<Record<StreamName, number>> = { stdin: 0, stdout: 1, stderr: 2 };

/** Docker's multiplexed framing: stream code, three zero bytes, length as 32 bits big-endian, payload. */
export function frame(stream: StreamName, payload: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(8 + payload.length);
  framed.writeUInt32BE(CODES[stream] * 0x0100_0000, 0);
  framed.writeUInt32BE(payload.length, 4);
  payload.copy(framed, 8);
  return framed;
}
