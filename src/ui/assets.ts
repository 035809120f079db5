import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Asset {
  readonly type: string;
  readonly body: Buffer;
  readonly etag: string;
}

const WEB = fileURLToPath(new URL('../../web/', import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  // The browser gets the modules without their types, which become blanks: lines and columns stay.
  '.ts': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The files of the page by name, as they are sent: all that is ever served, read once. */
export function loadAssets(): ReadonlyMap<string, Asset> {
  const assets = new Map<string, Asset>();
  for (const name of readdirSync(WEB)) {
    const type = TYPES[extname(name)];
    if (type === undefined || name.endsWith('.test.ts')) continue;
    const text = readFileSync(join(WEB, name), 'utf8');
    const body = Buffer.from(name.endsWith('.ts') ? stripTypeScriptTypes(text) : text);
    assets.set(name, { type, body, etag: `"${createHash('sha1').update(body).digest('base64url')}"` });
  }
  return assets;
}
