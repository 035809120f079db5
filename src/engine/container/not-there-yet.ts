import type { HostConfig } from '@docker/node-sdk';
import { notImplemented } from '../../model/errors.ts';

/** What Docker would do and the engine does not yet: said instead of left out. @throws EngineError NOT_IMPLEMENTED */
export function refuseHostConfig(hostConfig: HostConfig): void {
  if (Object.keys(hostConfig.StorageOpt ?? {}).length > 0) throw notImplemented('--storage-opt');
  if ((hostConfig.UsernsMode ?? '') !== '' && hostConfig.UsernsMode !== 'host') {
    throw notImplemented(`--userns ${hostConfig.UsernsMode}`);
  }
}
