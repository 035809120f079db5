import type { ContainerConfig, ImageConfig } from '@docker/node-sdk';
import { mergeEnvironment } from '../../runtime/spec/environment.ts';

/** The image's config under the request's (moby runconfig: merge). */
export function mergeConfig(request: ContainerConfig, image: ImageConfig): ContainerConfig {
  const entrypointGiven = request.Entrypoint !== undefined && request.Entrypoint !== null;
  const resetEntrypoint = entrypointGiven && request.Entrypoint?.length === 1 && request.Entrypoint[0] === '';
  const entrypoint = resetEntrypoint
    ? []
    : entrypointGiven
      ? (request.Entrypoint ?? [])
      : (image.Entrypoint ?? []);
  // A new entrypoint makes the image's arguments meaningless.
  const command = (request.Cmd ?? []).length > 0 ? request.Cmd : entrypointGiven ? [] : image.Cmd;
  return {
    ...request,
    ...((request.User || image.User) && { User: request.User || image.User || '' }),
    Env: [...mergeEnvironment(image.Env ?? [], request.Env ?? [])],
    Cmd: command ?? [],
    Entrypoint: entrypoint,
    WorkingDir: request.WorkingDir || image.WorkingDir || '',
    Labels: { ...image.Labels, ...request.Labels },
    Volumes: { ...image.Volumes, ...request.Volumes } as NonNullable<ContainerConfig['Volumes']>,
    ExposedPorts: { ...image.ExposedPorts, ...request.ExposedPorts } as NonNullable<
      ContainerConfig['ExposedPorts']
    >,
    ...((request.StopSignal || image.StopSignal) && {
      StopSignal: request.StopSignal || image.StopSignal || '',
    }),
    ...mergeHealthcheck(request.Healthcheck, image.Healthcheck),
  };
}

function mergeHealthcheck(
  request: ContainerConfig['Healthcheck'],
  image: ImageConfig['Healthcheck'],
): { Healthcheck?: NonNullable<ContainerConfig['Healthcheck']> } {
  if (!request) return image ? { Healthcheck: image } : {};
  const given = Object.fromEntries(Object.entries(request).filter(([, value]) => value));
  if ((request.Test ?? []).length > 0) return { Healthcheck: request };
  return { Healthcheck: { ...image, ...given } };
}
