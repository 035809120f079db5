import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { invalid, system } from '../../model/errors.ts';
import type { Progress } from '../images.ts';
import { parseReference, withDefaultTag } from '../registry/reference.ts';
import { networkCause } from '../registry/unreachable.ts';
import { applyChanges } from './dockerfile-changes.ts';
import type { ImageStore } from './image-store.ts';
import { assemble, importLayer } from './layer-import.ts';
import { parsePlatform } from './manifest.ts';

export interface ImportRequest {
  /** The tar itself, or an http(s) URL to fetch it from. */
  readonly source: Readable | string;
  readonly name: string | undefined;
  readonly changes: readonly string[];
  readonly message: string;
  readonly platform: string | undefined;
  readonly progress: (line: Progress) => void;
}

/** `docker import`: one layer from a tar, a config from the changes. @returns the image id */
export async function importImage(store: ImageStore, request: ImportRequest): Promise<string> {
  const reference = request.name === undefined ? undefined : withDefaultTag(parseReference(request.name));
  if (reference?.digest !== undefined) throw invalid('cannot import digest reference');
  const config = applyChanges({}, request.changes);
  const platform = parsePlatform(request.platform);
  const source =
    typeof request.source === 'string' ? await download(request.source, request.progress) : request.source;
  return store.leased(async (lease) => {
    const layer = await importLayer(store, source, `import-${randomBytes(8).toString('hex')}`, lease);
    const created = new Date().toISOString();
    const comment =
      request.message || `Imported from ${typeof request.source === 'string' ? request.source : '-'}`;
    const file = {
      architecture: platform.architecture,
      ...(platform.variant !== undefined && { variant: platform.variant }),
      os: platform.os,
      created,
      config,
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
      history: [{ created, comment }],
    };
    const image = await store.register(await assemble(store, file, [layer], lease), reference);
    store.publish('import', image.id, { name: image.id });
    return image.id;
  });
}

async function download(url: string, progress: (line: Progress) => void): Promise<Readable> {
  const target = /^https?:\/\//.test(url) ? url : `http://${url}`;
  let response: Response;
  try {
    response = await fetch(target);
  } catch (error) {
    throw system(`Get "${target}": ${networkCause(error)}`, error);
  }
  if (!response.ok || response.body === null)
    throw system(`Got HTTP status code >= 400: ${response.status} ${response.statusText}`);
  progress({ status: `Downloading from ${target}` });
  return Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]);
}
