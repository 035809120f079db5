import { invalid } from '../../model/errors.ts';

/** A parsed image name (distribution/reference): where it lives, what it is called, which version. */
export interface Reference {
  /** `docker.io`, `localhost:5000`… */
  readonly domain: string;
  /** `library/busybox` */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: string;
}

export const DEFAULT_DOMAIN = 'docker.io';
const DOMAIN =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$/;
const PATH = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[\w][\w.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** @throws EngineError INVALID_PARAMETER `invalid reference format` */
export function parseReference(text: string): Reference {
  if (/^[0-9a-f]{64}$/.test(text)) {
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  }
  let rest = text;
  let digest: string | undefined;
  const at = rest.indexOf('@');
  if (at >= 0) {
    digest = rest.slice(at + 1);
    rest = rest.slice(0, at);
    if (!DIGEST.test(digest)) throw invalid('invalid reference format');
  }
  let tag: string | undefined;
  const colon = rest.lastIndexOf(':');
  if (colon > rest.lastIndexOf('/')) {
    tag = rest.slice(colon + 1);
    rest = rest.slice(0, colon);
    if (!TAG.test(tag)) throw invalid('invalid reference format');
  }
  const slash = rest.indexOf('/');
  const first = rest.slice(0, Math.max(slash, 0));
  const named = slash > 0 && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first);
  let domain = named ? first : DEFAULT_DOMAIN;
  let path = named ? rest.slice(slash + 1) : rest;
  if (domain === 'index.docker.io') domain = DEFAULT_DOMAIN;
  if (domain === DEFAULT_DOMAIN && !path.includes('/')) path = `library/${path}`;
  if (/[A-Z]/.test(path))
    throw invalid(`invalid reference format: repository name (${path}) must be lowercase`);
  if (!DOMAIN.test(domain) || !PATH.test(path) || path.length > 255)
    throw invalid('invalid reference format');
  return { domain, path, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

/**
 * A name and, apart from it, its tag, as most requests give them; an empty tag is none.
 * @throws EngineError INVALID_PARAMETER `invalid tag format`
 */
export function parseTagged(name: string, tag: string): Reference {
  const reference = parseReference(name);
  if (tag === '') return reference;
  if (!TAG.test(tag)) throw invalid('invalid tag format');
  return { domain: reference.domain, path: reference.path, tag };
}

/** `name:latest` when neither tag nor digest is given, as every Docker command does. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined
    ? { ...reference, tag: 'latest' }
    : reference;
}

/** `docker.io/library/busybox` */
export function fullName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** The name people use: without `docker.io/` and `library/`. */
export function familiarName(reference: Reference): string {
  if (reference.domain !== DEFAULT_DOMAIN) return fullName(reference);
  return reference.path.replace(/^library\//, '');
}

/** With tag and digest, as it is the key of containerd's image record. */
export function fullReference(reference: Reference): string {
  return fullName(reference) + suffix(reference);
}

export function familiarReference(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

function suffix(reference: Reference): string {
  return (
    (reference.tag === undefined ? '' : `:${reference.tag}`) +
    (reference.digest === undefined ? '' : `@${reference.digest}`)
  );
}
