import type { RegistryAuth } from '../images.ts';
import type { Reference } from '../registry/reference.ts';
import type { RegistryClient } from '../registry/registry-client.ts';
import { digestOf } from './content.ts';
import type { ImageStore } from './image-store.ts';
import { isIndex, type Platform, parseConfig, parseIndex, parseManifest } from './manifest.ts';
import { firstAnswer } from './pull.ts';

/** What a registry has under a name, without pulling it. */
export interface Distribution {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platforms: readonly Platform[];
}

/** Asks the registry. @throws EngineError in Docker's words */
export async function inspectDistribution(
  store: ImageStore,
  reference: Reference,
  auth: RegistryAuth | undefined,
): Promise<Distribution> {
  const { client, top } = await firstAnswer(store, reference, { ...(auth !== undefined && { auth }) });
  const platforms = isIndex(top.mediaType, top.bytes)
    ? parseIndex(top.bytes).manifests.flatMap((entry) => platformIn(entry.platform ?? {}))
    : [await platformOf(client, parseManifest(top.bytes).config.digest)];
  return { mediaType: top.mediaType, digest: digestOf(top.bytes), size: top.bytes.length, platforms };
}

function platformIn({
  os,
  architecture,
  variant,
}: Partial<Record<keyof Platform, string | undefined>>): Platform[] {
  if (os === undefined || architecture === undefined) return [];
  return [{ os, architecture, ...(variant !== undefined && { variant }) }];
}

async function platformOf(client: RegistryClient, config: string): Promise<Platform> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await client.blob(config, 0)).body) chunks.push(chunk);
  const { architecture, os, variant } = parseConfig(Buffer.concat(chunks));
  return { architecture, os, ...(variant !== undefined && { variant }) };
}
