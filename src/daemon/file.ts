import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { JsonSyntaxError, parseJson } from '../model/go-json.ts';
import type { RawConfig } from './flags.ts';
import { type OptionKind, optionOfKey } from './option.ts';
import { ConfigError } from './values.ts';

const SCHEMA: Readonly<Record<OptionKind, z.ZodType>> = {
  bool: z.boolean(),
  int: z.int(),
  string: z.string(),
  list: z.array(z.string()),
  map: z.record(z.string(), z.string()),
  'driver-opts': z.record(z.string(), z.record(z.string(), z.string())),
  object: z.record(z.string(), z.unknown()),
  ulimits: z.record(z.string(), z.object({ Name: z.string(), Soft: z.int(), Hard: z.int() })),
  pools: z.array(z.object({ base: z.string(), size: z.int() })),
};

const GO_TYPE: Readonly<Record<OptionKind, string>> = {
  bool: 'bool',
  int: 'int',
  string: 'string',
  list: '[]string',
  map: 'map[string]string',
  'driver-opts': 'map[string]map[string]string',
  object: 'map[string]interface {}',
  ulimits: 'map[string]*container.Ulimit',
  pools: '[]*ipamutils.NetworkToSplit',
};

function goKind(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  return value === null ? 'null' : typeof value;
}

function inside(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (at === null || typeof at !== 'object' ? undefined : Reflect.get(at, key)),
    value,
  );
}

/** The type error of Go's encoding/json for this key. */
function typeError(key: string, kind: OptionKind, value: unknown, issue: z.core.$ZodIssue): string {
  const where = ['Config', key, ...issue.path].join('.');
  const wanted =
    issue.path.length === 0
      ? GO_TYPE[kind]
      : issue.code === 'invalid_type'
        ? issue.expected === 'record'
          ? 'map'
          : issue.expected === 'int' || issue.expected === 'number'
            ? 'int'
            : issue.expected
        : 'value';
  return `json: cannot unmarshal ${goKind(inside(value, issue.path))} into Go struct field ${where} of type ${wanted}`;
}

/**
 * Reads `daemon.json`. An absent file is an empty one unless it was asked for; so is an empty file.
 * @throws ConfigError in the words of dockerd, without the leading `unable to configure…`
 */
export function readConfigFile(path: string, mustExist: boolean): RawConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' && !mustExist) return {};
    const reasons: Record<string, string> = {
      ENOENT: 'no such file or directory',
      EACCES: 'permission denied',
      EISDIR: 'is a directory',
    };
    throw new ConfigError(`open ${path}: ${reasons[code ?? ''] ?? (error as Error).message}`);
  }
  return parseConfig(text);
}

/** @throws ConfigError for bad JSON, an unknown key (every one is named) or a value of the wrong type */
export function parseConfig(text: string): RawConfig {
  if (text.trim() === '') return {};
  let document: unknown;
  try {
    document = parseJson(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw new ConfigError(`invalid JSON: ${error.message}`);
    throw error;
  }
  if (document === null || typeof document !== 'object' || Array.isArray(document)) {
    throw new ConfigError(
      `invalid JSON: json: cannot unmarshal ${goKind(document)} into Go value of type map[string]interface {}`,
    );
  }
  const entries = Object.entries(document).map(
    ([key, value]) => [key === 'host-gateway-ip' ? 'host-gateway-ips' : key, value] as const,
  );
  const unknown = entries.filter(([key]) => optionOfKey(key) === undefined).map(([key]) => key);
  if (unknown.length > 0) {
    throw new ConfigError(
      `the following directives don't match any configuration option: ${unknown.join(', ')}`,
    );
  }
  const raw: Record<string, unknown> = {};
  for (const [key, value] of entries) {
    const option = optionOfKey(key);
    // Go leaves a field alone when its JSON value is null.
    if (option === undefined || value === null) continue;
    const wrapped = key === 'host-gateway-ips' && typeof value === 'string' ? [value] : value;
    const checked = SCHEMA[option.kind].safeParse(wrapped);
    const issue = checked.error?.issues[0];
    if (issue !== undefined)
      throw new ConfigError(`invalid JSON: ${typeError(key, option.kind, wrapped, issue)}`);
    raw[key] = checked.data;
  }
  return raw;
}
