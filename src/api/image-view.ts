import type { ImageInspect, ImageSummary } from '@docker/node-sdk';
import { invalid } from '../model/errors.ts';
import { booleanFilter, type Filters, labelsMatch } from '../model/filters.ts';
import type { StoredImage } from '../runtime/image/image-index.ts';
import type { ImageStore } from '../runtime/image/image-store.ts';

/** Whole seconds since the epoch; 0 for an image that does not say when it was made. */
export const seconds = (time: string | undefined): number =>
  time === undefined ? 0 : Math.floor(Date.parse(time) / 1000) || 0;

export interface ListedNames {
  readonly tags: readonly string[];
  readonly digests: readonly string[];
}

/** @param sharedSize bytes of the layers that other images have too; -1 when nobody asked */
export function summary(image: StoredImage, names: ListedNames, sharedSize: number): ImageSummary {
  return {
    Id: image.id,
    ParentId: '',
    RepoTags: [...names.tags],
    RepoDigests: [...names.digests],
    Created: seconds(image.created),
    Size: image.size,
    SharedSize: sharedSize,
    Labels: (image.config.Labels ?? null) as Record<string, string>,
    // Docker counts them for `docker system df` only.
    Containers: -1,
  };
}

/** `docker image inspect`. */
export function inspect(image: StoredImage, snapshotter: string): ImageInspect {
  return {
    Id: image.id,
    RepoTags: [...image.repoTags],
    RepoDigests: [...image.repoDigests],
    Parent: '',
    Comment: image.file.history?.at(-1)?.comment ?? '',
    ...(image.created !== undefined && { Created: image.created }),
    DockerVersion: '',
    Author: image.author ?? '',
    Config: image.config,
    Architecture: image.architecture,
    ...(image.variant !== undefined && { Variant: image.variant }),
    Os: image.os,
    Size: image.size,
    GraphDriver: { Name: snapshotter, Data: {} },
    RootFS: { Type: 'layers', Layers: [...image.diffIds] },
    Metadata: { LastTagTime: '0001-01-01T00:00:00Z' },
  } as ImageInspect;
}

/** @param sizes of the layers, from the first up */
export function history(image: StoredImage, sizes: readonly number[]): readonly object[] {
  const entries: NonNullable<StoredImage['file']['history']> =
    image.file.history ?? image.diffIds.map(() => ({ created: image.created }));
  let layer = 0;
  return entries
    .map((entry) => ({
      Created: seconds(entry.created ?? undefined),
      CreatedBy: entry.created_by ?? '',
      Size: entry.empty_layer ? 0 : (sizes[layer++] ?? 0),
      Comment: entry.comment ?? '',
    }))
    .toReversed()
    .map((entry, i) => ({
      Id: i === 0 ? image.id : '<missing>',
      Tags: i === 0 && image.repoTags.length > 0 ? image.repoTags : null,
      ...entry,
    }));
}

/** Shell-like patterns of `reference=`, with or without the tag (Go's path.Match). */
function referenceMatches(patterns: ReadonlySet<string> | undefined, name: string): boolean {
  if (patterns === undefined) return true;
  return [...patterns].some((pattern) => {
    const source = pattern
      .replace(/[.+^${}()|\\]/g, '\\$&')
      .replaceAll('*', '[^/]*')
      .replaceAll('?', '[^/]');
    let expression: RegExp;
    try {
      expression = new RegExp(`^${source}$`);
    } catch {
      throw invalid('syntax error in pattern');
    }
    return expression.test(name) || expression.test(name.replace(/[:@][^/]*$/, ''));
  });
}

/** The names of an image that a list with these filters shows. */
export function listedNames(filters: Filters, image: StoredImage): ListedNames {
  const shown = (names: readonly string[]): string[] =>
    names.filter((name) => referenceMatches(filters.get('reference'), name));
  return { tags: shown(image.repoTags), digests: shown(image.repoDigests) };
}

/** Whether an image is on a list with these filters. @throws EngineError NOT_FOUND for `before` and `since` */
export function listMatches(filters: Filters, images: ImageStore, image: StoredImage): boolean {
  const dangling = booleanFilter(filters, 'dangling');
  if (dangling !== undefined && dangling !== (image.names.size === 0)) return false;
  if (!labelsMatch(filters, image.config.Labels)) return false;
  if (filters.has('reference')) {
    const { tags, digests } = listedNames(filters, image);
    if (tags.length + digests.length === 0) return false;
  }
  for (const ref of filters.get('before') ?? [])
    if (seconds(image.created) >= seconds(images.resolve(ref).created)) return false;
  for (const ref of filters.get('since') ?? [])
    if (seconds(image.created) <= seconds(images.resolve(ref).created)) return false;
  return true;
}

/** @param until milliseconds since the epoch */
export const createdBefore = (image: StoredImage, until: readonly number[]): boolean =>
  until.every((time) => seconds(image.created) * 1000 < time);
