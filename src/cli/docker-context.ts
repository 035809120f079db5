import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ApiFailure } from './api-client.ts';

/** Where Gangway's own daemon is. */
export const DEFAULT_HOST = 'unix:///run/gangway/docker.sock';
const DOCKERS_DEFAULT = 'unix:///var/run/docker.sock';

/** An engine's address, and the TLS files for it. */
export interface EngineAddress {
  readonly host: string;
  readonly tls: TlsFiles | undefined;
}

export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly verify: boolean;
}

export interface Choice {
  /** `-H`. */
  readonly host: string | undefined;
  /** `-c`, `--context`. */
  readonly context: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Called as a plugin of docker: without any choice it is docker's own default that is meant. */
  readonly plugin: boolean;
}

/**
 * The engine that docker would talk to: `-H`, `--context`, DOCKER_HOST, DOCKER_CONTEXT, `docker context use`
 * (docs.docker.com/engine/manage-resources/contexts). Without any of these Gangway's own socket.
 * @throws ApiFailure for a context that is not there
 */
export function chooseEngine({ host, context, env, plugin }: Choice): EngineAddress {
  const directory = env.DOCKER_CONFIG || join(homedir(), '.docker');
  if (host !== undefined) return { host, tls: tlsOfEnvironment(env, directory) };
  if (context !== undefined) return ofContext(directory, context, plugin);
  if (env.DOCKER_HOST) return { host: env.DOCKER_HOST, tls: tlsOfEnvironment(env, directory) };
  const current = env.DOCKER_CONTEXT || currentContext(directory);
  return ofContext(directory, current ?? 'default', plugin);
}

function currentContext(directory: string): string | undefined {
  const config = readJson(join(directory, 'config.json')) as
    | { readonly currentContext?: unknown }
    | undefined;
  return typeof config?.currentContext === 'string' && config.currentContext !== ''
    ? config.currentContext
    : undefined;
}

/** docker keeps a context in a folder named by the digest of its name (docker/cli cli/context/store). */
function ofContext(directory: string, name: string, plugin: boolean): EngineAddress {
  if (name === 'default') return { host: plugin ? DOCKERS_DEFAULT : DEFAULT_HOST, tls: undefined };
  const digest = createHash('sha256').update(name).digest('hex');
  const meta = readJson(join(directory, 'contexts', 'meta', digest, 'meta.json')) as ContextMeta | undefined;
  const endpoint = meta?.Endpoints?.docker;
  if (endpoint?.Host === undefined) {
    throw new ApiFailure(
      `there is no docker context ${JSON.stringify(name)}: docker context ls shows those there are`,
    );
  }
  const files = join(directory, 'contexts', 'tls', digest, 'docker');
  return { host: endpoint.Host, tls: tlsIn(files, endpoint.SkipTLSVerify !== true) };
}

interface ContextMeta {
  readonly Endpoints?: { readonly docker?: { readonly Host?: string; readonly SkipTLSVerify?: boolean } };
}

function tlsOfEnvironment(env: Choice['env'], directory: string): TlsFiles | undefined {
  return env.DOCKER_TLS_VERIFY ? tlsIn(env.DOCKER_CERT_PATH || directory, true) : undefined;
}

function tlsIn(directory: string, verify: boolean): TlsFiles | undefined {
  const files = {
    ca: join(directory, 'ca.pem'),
    cert: join(directory, 'cert.pem'),
    key: join(directory, 'key.pem'),
  };
  return existsSync(files.ca) || existsSync(files.cert) ? { ...files, verify } : undefined;
}

function readJson(path: string): unknown {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ApiFailure(`${path} cannot be read: ${(error as Error).message}`);
  }
}
