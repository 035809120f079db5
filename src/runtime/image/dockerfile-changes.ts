import type { ImageConfig } from '@docker/node-sdk';
import { parseDuration } from '../../model/duration.ts';
import { invalid } from '../../model/errors.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Applies `--change` instructions (docs.docker.com/reference/cli/docker/image/import): CMD, ENTRYPOINT, ENV, EXPOSE,
 * LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR, HEALTHCHECK.
 * @throws EngineError INVALID_PARAMETER
 */
export function applyChanges(base: ImageConfig, changes: readonly string[]): ImageConfig {
  const config: Mutable<ImageConfig> = { ...base };
  for (const change of changes.flatMap((text) => text.split('\n'))) {
    const line = change.trim();
    if (line === '') continue;
    const [, word = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(line) ?? [];
    apply(config, word.toUpperCase(), rest.trim(), word);
  }
  return config;
}

function apply(config: Mutable<ImageConfig>, instruction: string, rest: string, given: string): void {
  if (rest === '' && !['CMD', 'ENTRYPOINT'].includes(instruction)) {
    throw invalid(`dockerfile parse error: ${given} requires at least one argument`);
  }
  switch (instruction) {
    case 'CMD':
      config.Cmd = command(rest);
      return;
    case 'ENTRYPOINT':
      config.Entrypoint = command(rest);
      return;
    case 'ENV':
      config.Env = mergeEnv(config.Env ?? [], pairs(rest, instruction));
      return;
    case 'LABEL':
      config.Labels = { ...config.Labels, ...Object.fromEntries(pairs(rest, instruction)) };
      return;
    case 'EXPOSE':
      config.ExposedPorts = {
        ...config.ExposedPorts,
        ...Object.fromEntries(rest.split(/\s+/).flatMap(exposed)),
      };
      return;
    case 'VOLUME': {
      const paths = jsonArray(rest) ?? rest.split(/\s+/);
      config.Volumes = { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) };
      return;
    }
    case 'USER':
      config.User = rest;
      return;
    case 'WORKDIR':
      config.WorkingDir = rest.startsWith('/')
        ? rest
        : `${(config.WorkingDir || '/').replace(/\/$/, '')}/${rest}`;
      return;
    case 'STOPSIGNAL':
      config.StopSignal = rest;
      return;
    case 'ONBUILD':
      config.OnBuild = [...(config.OnBuild ?? []), rest];
      return;
    case 'HEALTHCHECK':
      config.Healthcheck = healthcheck(rest);
      return;
    default:
      throw invalid(`${given} is not a valid change command`);
  }
}

/** JSON form as it is; anything else through the shell, as a Dockerfile does. */
function command(rest: string): string[] {
  if (rest === '') return [];
  return jsonArray(rest) ?? ['/bin/sh', '-c', rest];
}

function jsonArray(rest: string): string[] | undefined {
  if (!rest.startsWith('[')) return undefined;
  try {
    const parsed: unknown = JSON.parse(rest);
    return Array.isArray(parsed) && parsed.every((item) => typeof item === 'string') ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** `K=V K2="V 2"`, or the old form `K V…`. */
function pairs(rest: string, instruction: string): [string, string][] {
  if (!/^[^\s=]+=/.test(rest)) {
    const [, key, value] = /^(\S+)\s+(.*)$/s.exec(rest) ?? [];
    if (key === undefined || value === undefined) throw invalid(`${instruction} must have two arguments`);
    return [[key, value]];
  }
  const found: [string, string][] = [];
  for (const [, key = '', value = ''] of rest.matchAll(
    /([^\s=]+)=((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])*)/g,
  )) {
    found.push([
      key,
      value.replace(/"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/g, (_, d, s, e) =>
        (d ?? s ?? e ?? '').replace(/\\(.)/g, '$1'),
      ),
    ]);
  }
  return found;
}

function mergeEnv(env: readonly string[], added: readonly [string, string][]): string[] {
  const merged = new Map(env.map((entry) => [entry.split('=', 1)[0] ?? '', entry]));
  for (const [key, value] of added) merged.set(key, `${key}=${value}`);
  return [...merged.values()];
}

function exposed(text: string): [string, object][] {
  const [, first = '', last = first, protocol = 'tcp'] =
    /^(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/i.exec(text) ?? [];
  const from = Number(first);
  const to = Number(last || first);
  if (first === '' || from < 1 || to > 65535 || to < from) throw invalid(`invalid containerPort: ${text}`);
  return Array.from({ length: to - from + 1 }, (_, i) => [`${from + i}/${protocol.toLowerCase()}`, {}]);
}

function healthcheck(rest: string): NonNullable<ImageConfig['Healthcheck']> {
  if (/^none$/i.test(rest)) return { Test: ['NONE'] };
  const health: Record<string, unknown> = {};
  let text = rest;
  for (;;) {
    const [whole, flag = '', value = ''] = /^--([a-z-]+)=(\S+)\s+/.exec(text) ?? [];
    if (whole === undefined) break;
    text = text.slice(whole.length);
    if (flag === 'retries') health.Retries = Number(value);
    else {
      const name = {
        interval: 'Interval',
        timeout: 'Timeout',
        'start-period': 'StartPeriod',
        'start-interval': 'StartInterval',
      }[flag];
      if (name === undefined) throw invalid(`unknown flag: ${flag}`);
      health[name] = duration(value);
    }
  }
  const [, check] = /^CMD\s+(.*)$/is.exec(text) ?? [];
  if (check === undefined) throw invalid(`Unknown type "${text.split(/\s/)[0]}" in HEALTHCHECK (try CMD)`);
  const json = jsonArray(check);
  health.Test = json === undefined ? ['CMD-SHELL', check] : ['CMD', ...json];
  return health;
}

function duration(text: string): number {
  const parsed = parseDuration(text);
  if (parsed === undefined) throw invalid(`time: invalid duration "${text}"`);
  return parsed;
}
