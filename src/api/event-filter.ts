import type { EventMessage } from '@docker/node-sdk';
import { parseFilters } from '../model/filters.ts';

function withoutTag(name: string): string {
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf('/') ? name.slice(0, colon) : name;
}

/**
 * Which events a client wants (moby daemon/events/filter.go): values of one filter are alternatives, filters add up,
 * `label`s must all match.
 * @throws EngineError INVALID_PARAMETER
 */
export function eventFilter(text: string | undefined): (event: EventMessage) => boolean {
  const wanted = parseFilters(text);
  const of = (key: string): ReadonlySet<string> | undefined => {
    const values = wanted.get(key);
    return values === undefined || values.size === 0 ? undefined : values;
  };
  const exact = (key: string, ...values: readonly (string | undefined)[]): boolean => {
    const allowed = of(key);
    return allowed === undefined || values.some((value) => value !== undefined && allowed.has(value));
  };
  const fuzzy = (key: string, ...values: readonly (string | undefined)[]): boolean => {
    const allowed = of(key);
    return allowed === undefined || [...allowed].some((prefix) => values.some((v) => v?.startsWith(prefix)));
  };
  return (event) => {
    const action = event.Action ?? '';
    const id = event.Actor?.ID ?? '';
    const attributes = event.Actor?.Attributes ?? {};
    const name = attributes.name;
    const image = event.Type === 'image' ? name : attributes.image;
    return (
      // `exec_create: sh` is found as `exec_create` and in full.
      exact('event', action, action.replace(/:.*/, '')) &&
      exact('type', event.Type) &&
      exact('scope', event.scope) &&
      (event.Type === 'daemon' || of('daemon') === undefined) &&
      fuzzy('daemon', id, name) &&
      onlyType(event, 'container', of) &&
      fuzzy('container', id, name) &&
      onlyType(event, 'network', of) &&
      fuzzy('network', id, name) &&
      onlyType(event, 'volume', of) &&
      fuzzy('volume', id, name) &&
      exact('image', id, image, image === undefined ? undefined : withoutTag(image)) &&
      labelsMatch(of('label'), attributes)
    );
  };
}

function onlyType(
  event: EventMessage,
  type: string,
  of: (key: string) => ReadonlySet<string> | undefined,
): boolean {
  return of(type) === undefined || event.Type === type;
}

function labelsMatch(
  labels: ReadonlySet<string> | undefined,
  attributes: Readonly<Record<string, string>>,
): boolean {
  return [...(labels ?? [])].every((label) => {
    const [key = '', value] = label.split(/=(.*)/s);
    return key in attributes && (value === undefined || attributes[key] === value);
  });
}
