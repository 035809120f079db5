import type { DaemonConfig } from '../../engine/config.ts';
import { EngineError } from '../../model/errors.ts';
import type { RegistryAuth } from '../images.ts';
import { endpointsFor } from './endpoint.ts';
import { DEFAULT_DOMAIN } from './reference.ts';
import { RegistryClient } from './registry-client.ts';

/** `docker login`: asks the registry itself. @throws EngineError UNAUTHORIZED */
export async function checkCredentials(
  auth: RegistryAuth,
  config: Pick<DaemonConfig, 'registryMirrors' | 'insecureRegistries'>,
): Promise<{ Status: string; IdentityToken: string }> {
  const address = (auth.serveraddress ?? '').replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  const domain = address === '' || address === 'index.docker.io' ? DEFAULT_DOMAIN : address;
  let failure: unknown;
  for (const endpoint of endpointsFor({ domain, path: '' }, config)) {
    if (endpoint.mirror) continue;
    try {
      await new RegistryClient(endpoint, { domain, path: '' }, auth).check();
      return { Status: 'Login Succeeded', IdentityToken: '' };
    } catch (error) {
      if (failure === undefined || error instanceof EngineError) failure = error;
    }
  }
  throw failure;
}
