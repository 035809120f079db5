import { invalid } from './errors.ts';

/** Docker's `filters` query parameter: values of one key are alternatives, keys add up. */
export type Filters = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * `{"label":["a=b"]}`, or the form of API 1.21 and older, `{"label":{"a=b":true}}`.
 * @param known the keys this route takes; absent: any, as dockerd's events do
 * @throws EngineError INVALID_PARAMETER in Docker's words
 */
export function parseFilters(text: string | undefined, known?: readonly string[]): Filters {
  const filters = new Map<string, Set<string>>();
  if (text === undefined || text === '') return filters;
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    throw invalid('invalid filter');
  }
  if (given === null || typeof given !== 'object' || Array.isArray(given)) throw invalid('invalid filter');
  for (const [key, value] of Object.entries(given)) {
    if (known !== undefined && !known.includes(key)) throw invalid(`invalid filter '${key}'`);
    const values: unknown[] = Array.isArray(value)
      ? value
      : Object.entries(value ?? {}).flatMap(([item, on]) => (on === true ? [item] : []));
    if (!values.every((item) => typeof item === 'string')) throw invalid('invalid filter');
    if (values.length > 0) filters.set(key, new Set(values));
  }
  return filters;
}

/** `true`/`1`/`false`/`0` of a boolean filter; undefined when it is not given. @throws EngineError INVALID_PARAMETER */
export function booleanFilter(filters: Filters, key: string): boolean | undefined {
  const values = filters.get(key);
  if (values === undefined) return undefined;
  const [value = ''] = values;
  if (values.size === 1 && /^(1|t|true)$/i.test(value)) return true;
  if (values.size === 1 && /^(0|f|false)$/i.test(value)) return false;
  throw invalid(`invalid filter '${key}=[${[...values].join(' ')}]'`);
}

/** Every `label=KEY` or `label=KEY=VALUE` must be there, and no `label!=…`. */
export function labelsMatch(filters: Filters, labels: Readonly<Record<string, string>> | undefined): boolean {
  const has = (wanted: string): boolean => {
    const [key = '', ...rest] = wanted.split('=');
    const value = labels?.[key];
    return value !== undefined && (rest.length === 0 || value === rest.join('='));
  };
  const wanted = [...(filters.get('label') ?? [])];
  const unwanted = [...(filters.get('label!') ?? [])];
  return wanted.every(has) && !unwanted.some(has);
}
