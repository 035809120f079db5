import { createInterface } from 'node:readline';
import { Feed } from '../ui/feed.ts';
import { type PageServer, servePage } from '../ui/server.ts';
import { type ApiClient, ApiFailure } from './api-client.ts';

/** @throws ApiFailure naming what was wrong */
export function parsePort(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) > 65535) {
    throw new ApiFailure(`--port wants a number from 1 to 65535, or 0 for a free port, not ${text}`);
  }
  return Number(text);
}

/** Serves the page until it is interrupted. @throws ApiFailure when the port is taken */
export async function runUi(daemon: ApiClient, port: number): Promise<void> {
  const feed = new Feed(daemon);
  const server = await servePage(daemon, feed, port).catch((error: NodeJS.ErrnoException): never => {
    if (error.code === 'EADDRINUSE') {
      throw new ApiFailure(`port ${port} of 127.0.0.1 is taken; without --port a free one is chosen`);
    }
    if (error.code === 'EACCES') throw new ApiFailure(`port ${port} is for root alone; choose one from 1024`);
    throw error;
  });
  feed.start();
  console.log(`The page: ${server.link()}`);
  console.log(`The link opens once, in one browser on this machine.${remoteHint(server)}`);
  const end = (): void => {
    feed.close();
    void server.close().then(() => process.exit(0));
  };
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  if (!process.stdin.isTTY) return;
  console.log('Enter gives another link, Ctrl-C ends the page.');
  createInterface({ input: process.stdin }).on('line', () => console.log(server.link()));
}

function remoteHint({ port }: PageServer): string {
  if (process.env.SSH_CONNECTION === undefined) return '';
  return `\nFrom your own: ssh -L ${port}:127.0.0.1:${port} THIS_HOST, and open it there.`;
}
