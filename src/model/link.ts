import { invalid } from './errors.ts';

/** `--link`: another container, and what it is called here. */
export interface ContainerLink {
  readonly container: string;
  readonly alias: string;
}

/** `NAME`, `NAME:ALIAS`, with or without Docker's leading slash (docker/cli opts/opts.go, ParseLink). @throws EngineError INVALID_PARAMETER */
export function parseLink(text: string): ContainerLink {
  if (text === '') throw invalid('empty string specified for links');
  const parts = text.split(':');
  const [container = '', alias = container] = parts.map((part) => part.replace(/^\//, ''));
  if (parts.length > 2 || container === '' || alias === '') throw invalid(`bad format for links: ${text}`);
  // Inspect writes `/db:/web/alias`, and a client may send that back.
  return { container, alias: alias.slice(alias.lastIndexOf('/') + 1) };
}
