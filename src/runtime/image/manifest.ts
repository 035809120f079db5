import { arch as nodeArch } from 'node:process';
import { z } from 'zod';
import { invalid, notFound, system } from '../../model/errors.ts';

const descriptor = z.object({
  mediaType: z.string().default(''),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  size: z.number().int().nonnegative(),
  annotations: z.record(z.string(), z.string()).optional(),
  platform: z
    .object({ architecture: z.string(), os: z.string(), variant: z.string().optional() })
    .partial()
    .optional(),
});
export type ManifestDescriptor = z.infer<typeof descriptor>;

const manifest = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  config: descriptor,
  layers: z.array(descriptor),
});
export type Manifest = z.infer<typeof manifest>;

const index = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  manifests: z.array(descriptor),
});

/** The image config as far as the engine reads it (opencontainers/image-spec config.md, moby's additions). */
const config = z.looseObject({
  architecture: z.string().default(''),
  os: z.string().default('linux'),
  variant: z.string().optional(),
  created: z.string().nullish(),
  author: z.string().optional(),
  config: z.looseObject({}).nullish(),
  rootfs: z.object({ type: z.string().default('layers'), diff_ids: z.array(z.string()).nullish() }),
  history: z
    .array(
      z.looseObject({
        created: z.string().nullish(),
        created_by: z.string().optional(),
        comment: z.string().optional(),
        author: z.string().optional(),
        empty_layer: z.boolean().optional(),
      }),
    )
    .nullish(),
});
export type ImageConfigFile = z.infer<typeof config>;

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** containerd platforms.go. */
const PLATFORM_COMPONENT = /^[A-Za-z0-9_.-]+$/;
/** What may stand alone for an operating system; anything else alone is an architecture. */
const SYSTEMS: ReadonlySet<string> = new Set(['linux', 'windows', 'darwin', 'freebsd']);
const GO_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', arm: 'arm', arm64: 'arm64' };

export function hostPlatform(): Platform {
  const architecture = GO_ARCH[nodeArch] ?? nodeArch;
  return { os: 'linux', architecture, ...(architecture === 'arm' && { variant: 'v7' }) };
}

/** `os`, `arch` or `os/arch[/variant]`; what is left out is the host's. @throws EngineError INVALID_PARAMETER */
export function parsePlatform(text: string | undefined): Platform {
  if (text === undefined || text === '') return hostPlatform();
  const [first = '', second, ...rest] = text.split('/');
  const components = [first, second, rest.length > 0 ? rest.join('/') : undefined];
  for (const component of components) {
    if (component !== undefined && !PLATFORM_COMPONENT.test(component)) {
      throw invalid(
        `${JSON.stringify(component)} is an invalid component of ${JSON.stringify(text)}: platform specifier component must match ${JSON.stringify(PLATFORM_COMPONENT.source)}: invalid argument`,
      );
    }
  }
  const variant = components[2];
  const host = hostPlatform();
  if (second === undefined && !SYSTEMS.has(first)) return { os: host.os, architecture: goArch(first) };
  return {
    os: first,
    architecture: second === undefined ? host.architecture : goArch(second),
    ...(variant !== undefined && { variant }),
  };
}

const goArch = (name: string): string => ({ x86_64: 'amd64', aarch64: 'arm64' })[name] ?? name;

function parse<T>(schema: z.ZodType<T>, bytes: Buffer, what: string): T {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw system(`${what} is not JSON`, error);
  }
  const result = schema.safeParse(json);
  if (!result.success) throw system(`${what} is not valid: ${z.prettifyError(result.error)}`);
  return result.data;
}

export const parseManifest = (bytes: Buffer): Manifest => parse(manifest, bytes, 'image manifest');
export const parseIndex = (bytes: Buffer): z.infer<typeof index> => parse(index, bytes, 'image index');
export const parseConfig = (bytes: Buffer): ImageConfigFile => parse(config, bytes, 'image config');

/** Whether these bytes are an index (manifest list), by media type or by shape. */
export function isIndex(mediaType: string, bytes: Buffer): boolean {
  if (/image\.index|manifest\.list/.test(mediaType)) return true;
  return index.safeParse(safeJson(bytes)).success;
}

/** The manifest for the platform. @throws EngineError NOT_FOUND in Docker's words */
export function choosePlatform(bytes: Buffer, wanted: Platform, name: string): ManifestDescriptor {
  const candidates = parse(index, bytes, 'manifest list').manifests.filter(
    (entry) => entry.platform?.os === wanted.os && entry.platform.architecture === wanted.architecture,
  );
  const found =
    candidates.find((entry) => wanted.variant === undefined || entry.platform?.variant === wanted.variant) ??
    candidates[0];
  if (found === undefined) {
    throw notFound(
      `no matching manifest for ${wanted.os}/${wanted.architecture}${wanted.variant ? `/${wanted.variant}` : ''} in the manifest list entries${name ? ` of ${name}` : ''}`,
    );
  }
  return found;
}

function safeJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
