import { type EngineError, invalid, notImplemented, system } from '../../model/errors.ts';
import type { LogWriter } from '../streams.ts';
import { JsonFileLog, noLog } from './json-file-log.ts';

const JSON_FILE_OPTIONS = new Set([
  'max-size',
  'max-file',
  'compress',
  'labels',
  'labels-regex',
  'env',
  'env-regex',
  'tag',
]);
/** Docker's other built-in drivers. */
const BUILT_IN = [
  'local',
  'journald',
  'syslog',
  'gelf',
  'fluentd',
  'awslogs',
  'splunk',
  'etwlogs',
  'gcplogs',
];

export interface LogConfig {
  /** `json-file`, `none`; empty is json-file. */
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
}

/** @throws EngineError for an unknown driver or option, and 501 for Docker's drivers that are not there yet */
export function validateLogConfig({ driver, options }: LogConfig): void {
  if (BUILT_IN.includes(driver)) throw notImplemented(`the log driver ${driver}`);
  if (driver === 'none') return;
  if (driver !== '' && driver !== 'json-file') {
    throw system(`error looking up logging plugin ${driver}: plugin "${driver}" not found`);
  }
  for (const name of Object.keys(options)) {
    if (!JSON_FILE_OPTIONS.has(name)) throw invalid(`unknown log opt '${name}' for json-file log driver`);
  }
  if (options.compress === 'true') throw notImplemented('the log option compress');
  maxSize(options);
  maxFiles(options);
}

/** @param files where the log and its journal are. @param details what `labels` and `env` select, already resolved. @throws EngineError */
export function openLog(
  config: LogConfig,
  files: { readonly path: string; readonly journal?: string },
  details: Readonly<Record<string, string>> = {},
): LogWriter {
  validateLogConfig(config);
  if (config.driver === 'none') return noLog;
  const size = maxSize(config.options);
  return new JsonFileLog({
    ...files,
    ...(size === undefined ? {} : { maxSize: size }),
    maxFiles: maxFiles(config.options) ?? 1,
    attributes: details,
  });
}

/** `labels` and `env` of the log options, comma separated names, looked up. */
export function logDetails(
  options: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
  env: readonly string[],
): Readonly<Record<string, string>> {
  const details: Record<string, string> = {};
  const names = (text: string | undefined): string[] => (text ?? '').split(',').filter((name) => name !== '');
  for (const name of names(options.labels)) {
    const value = labels[name];
    if (value !== undefined) details[name] = value;
  }
  for (const name of names(options.env)) {
    const entry = env.find((text) => text.startsWith(`${name}=`));
    if (entry !== undefined) details[name] = entry.slice(name.length + 1);
  }
  return details;
}

/** dockerd finds these out when the container starts, and says so. */
const notStarted = (reason: string): EngineError =>
  system(`failed to create task for container: failed to initialize logging driver: ${reason}`);

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};

/** docker/go-units RAMInBytes: `10m`, `1.5GiB`. */
function maxSize(options: Readonly<Record<string, string>>): number | undefined {
  const text = options['max-size'];
  if (text === undefined || text === '-1') return undefined;
  const match = /^(\d+(?:\.\d+)?) ?([kmgtb]?)(?:i?b)?$/i.exec(text);
  const bytes =
    match === null ? 0 : Math.floor(Number(match[1]) * (UNITS[(match[2] ?? '').toLowerCase()] ?? 1));
  if (match === null) throw notStarted(`invalid size: '${text}'`);
  if (bytes <= 0) throw notStarted('max-size must be a positive number');
  return bytes;
}

function maxFiles(options: Readonly<Record<string, string>>): number | undefined {
  const text = options['max-file'];
  if (text === undefined) return undefined;
  if (!/^[+-]?\d+$/.test(text)) throw notStarted(`strconv.Atoi: parsing "${text}": invalid syntax`);
  if (Number(text) < 1) throw notStarted('max-file cannot be less than 1');
  return Number(text);
}
