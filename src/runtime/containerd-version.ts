import { Client, credentials, Metadata } from '@grpc/grpc-js';

export interface ContainerdVersion {
  readonly version: string;
  readonly revision: string;
}

const METHOD = '/containerd.services.version.v1.Version/Version';
const DEADLINE_MS = 5000;

/** containerd's api/services/version/v1: two strings, fields 1 and 2, short enough for one-byte lengths. */
function decode(message: Buffer): ContainerdVersion {
  const fields = new Map<number, string>();
  for (let at = 0; at + 1 < message.length; ) {
    const length = message[at + 1] ?? 0;
    fields.set((message[at] ?? 0) >> 3, message.toString('utf8', at + 2, at + 2 + length));
    at += 2 + length;
  }
  return { version: fields.get(1) ?? '', revision: fields.get(2) ?? '' };
}

/** @returns empty strings when containerd does not answer */
export function containerdVersion(address: string): Promise<ContainerdVersion> {
  const client = new Client(`unix://${address}`, credentials.createInsecure());
  return new Promise<ContainerdVersion>((resolve) => {
    const options = { deadline: Date.now() + DEADLINE_MS };
    client.makeUnaryRequest(
      METHOD,
      () => Buffer.alloc(0),
      decode,
      {},
      new Metadata(),
      options,
      (error, value) =>
        resolve(error !== null || value === undefined ? { version: '', revision: '' } : value),
    );
  }).finally(() => client.close());
}
