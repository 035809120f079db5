import type { UsageKind } from '../api/system.ts';
import type { StoredImage } from '../runtime/image/image-index.ts';
import type { ImageStore } from '../runtime/image/image-store.ts';
import { chainId } from '../runtime/image/snapshots.ts';
import type { Containers } from './container/containers.ts';
import { summarize } from './container/summary.ts';

export interface UsageSources {
  readonly images: ImageStore;
  readonly containers: Containers;
}

interface Layer {
  readonly size: number;
  images: number;
}

/** Every unpacked layer once, by chain id. */
async function layersOf(images: ImageStore): Promise<ReadonlyMap<string, Layer>> {
  const layers = new Map<string, Layer>();
  for (const image of images.list()) {
    for (const chain of chains(image)) {
      const layer = layers.get(chain) ?? { size: await images.snapshots.usage(chain), images: 0 };
      layer.images++;
      layers.set(chain, layer);
    }
  }
  return layers;
}

function chains(image: StoredImage): readonly string[] {
  return image.diffIds.map((_, i) => chainId(image.diffIds.slice(0, i + 1)));
}

/** `GET /system/df` (`docker system df`): what of the disk is whose. */
export async function diskUsage(
  kinds: ReadonlySet<UsageKind>,
  sources: UsageSources,
): Promise<Readonly<Record<string, unknown>>> {
  const usage: Record<string, unknown> = {};
  if (kinds.has('image')) {
    const layers = await layersOf(sources.images);
    usage.LayersSize = layers.values().reduce((sum, layer) => sum + layer.size, 0);
    usage.Images = sources.images.list().map((image) => ({
      Id: image.id,
      ParentId: '',
      RepoTags: image.repoTags,
      RepoDigests: image.repoDigests,
      Created: Math.floor(Date.parse(image.created ?? '') / 1000) || 0,
      Size: image.size,
      SharedSize: chains(image).reduce((sum, chain) => {
        const layer = layers.get(chain);
        return layer !== undefined && layer.images > 1 ? sum + layer.size : sum;
      }, 0),
      Labels: image.config.Labels ?? null,
      Containers: sources.containers.usersOf(image.id).length,
    }));
  }
  if (kinds.has('container')) {
    usage.Containers = await Promise.all(
      sources.containers.all().map(async (container) => {
        const rw = await sources.images.rootfsUsage(container.id).catch(() => 0);
        const image = sources.images.list().find(({ id }) => id === container.imageId);
        return summarize(sources.containers, container, { rw, rootfs: rw + (image?.size ?? 0) });
      }),
    );
  }
  if (kinds.has('volume')) {
    const { volumes } = sources.containers;
    usage.Volumes = await Promise.all(
      volumes.list().map(async (volume) => ({
        ...volumes.describe(volume),
        UsageData: { Size: await volumes.size(volume.name), RefCount: volumes.users(volume.name).length },
      })),
    );
  }
  return usage;
}
