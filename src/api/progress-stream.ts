import { PassThrough } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Progress } from '../runtime/images.ts';

/**
 * Docker's progress answer: one JSON object a line, sent as it happens. A failure before the first line is a plain
 * HTTP error; after it, it stands in the stream as `errorDetail` (moby pkg/streamformatter).
 */
export async function streamProgress(
  reply: FastifyReply,
  body: (progress: (line: Progress) => void, signal: AbortSignal) => Promise<void>,
): Promise<FastifyReply> {
  const gone = new AbortController();
  let out: PassThrough | undefined;
  reply.raw.once('close', () => gone.abort());
  const progress = (line: Progress): void => {
    if (out === undefined) {
      out = new PassThrough();
      reply.type('application/json').send(out);
    }
    out.write(`${JSON.stringify(line)}\r\n`);
  };
  try {
    await body(progress, gone.signal);
    if (out === undefined) return reply.type('application/json').send('');
  } catch (error) {
    if (out === undefined) throw error;
    const message = error instanceof Error ? error.message : String(error);
    progress({ errorDetail: { message }, error: message });
  }
  out?.end();
  return reply;
}
