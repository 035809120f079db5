import { isIPv4, isIPv6 } from 'node:net';

/** A mistake of the person who starts the daemon. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const TRUE = ['1', 't', 'T', 'true', 'TRUE', 'True'];
const FALSE = ['0', 'f', 'F', 'false', 'FALSE', 'False'];

/** Go's strconv.ParseBool, as pflag uses it. */
export function goBool(text: string): boolean {
  if (TRUE.includes(text)) return true;
  if (FALSE.includes(text)) return false;
  throw new ConfigError(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** Decimal only: dockerd's options never need Go's other bases. */
export function goInt(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) {
    throw new ConfigError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  return Number(text);
}

export function keyValue(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** A daemon label must be `key=value` (docker/cli opts.ValidateLabel). */
export function label(text: string): string {
  if (!/^[^=]+=/.test(text)) throw new ConfigError(`bad attribute format: ${text}`);
  return text;
}

export function ip(text: string): string {
  if (!isIPv4(text) && !isIPv6(text)) throw new ConfigError(`failed to parse IP: ${JSON.stringify(text)}`);
  return text;
}

/** `scheme://host[:port][/]`, always with one slash at the end (moby registry.ValidateMirror). */
export function mirror(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new ConfigError(`invalid mirror: ${JSON.stringify(text)} is not a valid URI`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new ConfigError(
      `invalid mirror: unsupported scheme "${url.protocol.slice(0, -1)}" in ${JSON.stringify(text)}: must use either 'https://' or 'http://'`,
    );
  }
  if (url.search !== '' || url.hash !== '') {
    throw new ConfigError(`invalid mirror: query or fragment at end of the URI ${JSON.stringify(text)}`);
  }
  if (url.username !== '') {
    throw new ConfigError('invalid mirror: username/password not allowed in URI');
  }
  return `${text.replace(/\/+$/, '')}/`;
}

/** `HOST:PORT`, `[ADDRESS]:PORT`, `:PORT` for every address. */
export function metricsAddress(text: string): { readonly host: string; readonly port: number } {
  const [, v6, name, digits] = /^(?:\[([0-9a-f:.]+)\]|([^\s:/[\]]*)):(\d{1,5})$/i.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port < 1 || port > 65_535) {
    throw new ConfigError(
      `invalid --metrics-addr ${JSON.stringify(text)}: it should be HOST:PORT (127.0.0.1:9323)`,
    );
  }
  return { host: v6 ?? (name || '::'), port };
}

/** The address forms of dockerd's `-H` (docker/cli opts/hosts.go), made complete. */
export function host(text: string, tls: boolean): string {
  const given = text.trim();
  const [scheme, rest] = given.includes('://') ? given.split(/:\/\/(.*)/s) : ['tcp', given];
  switch (scheme) {
    case 'unix': {
      if (rest?.includes('://'))
        throw new ConfigError(`invalid bind address (${text}): invalid unix address`);
      return `unix://${rest === undefined || rest === '' ? '/run/gangway/docker.sock' : rest}`;
    }
    case 'fd':
      return given;
    case 'tcp':
      return tcpHost(text, rest ?? '', tls);
    default:
      throw new ConfigError(`invalid bind address (${text}): unsupported proto '${scheme}'`);
  }
}

function tcpHost(text: string, rest: string, tls: boolean): string {
  let url: URL;
  try {
    url = new URL(`tcp://${rest === '' || rest.startsWith(':') ? `localhost${rest}` : rest}`);
  } catch {
    throw new ConfigError(`invalid bind address (${text}): should be tcp://host:port`);
  }
  if (url.pathname !== '' && url.pathname !== '/') {
    throw new ConfigError(`invalid bind address (${text}): should not contain a path element`);
  }
  const port = url.port === '' ? (tls ? '2376' : '2375') : url.port;
  return `tcp://${url.hostname}:${port}`;
}

const ULIMITS = new Set(
  'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(
    ' ',
  ),
);

export interface Ulimit {
  readonly Name: string;
  readonly Soft: number;
  readonly Hard: number;
}

/** `name=soft[:hard]` (docker/go-units ParseUlimit). */
export function ulimit(text: string): Ulimit {
  const [name, limits] = keyValue(text);
  if (!text.includes('=')) throw new ConfigError(`invalid ulimit argument: ${text}`);
  if (!ULIMITS.has(name)) throw new ConfigError(`invalid ulimit type: ${name}`);
  const parts = limits.split(':');
  if (parts.length > 2)
    throw new ConfigError(
      `too many limit value arguments - ${limits}, can only have up to two, \`soft[:hard]\``,
    );
  const [soft = 0, hard = soft] = parts.map(goInt);
  if (hard !== -1 && (soft === -1 || soft > hard)) {
    throw new ConfigError(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  }
  return { Name: name, Soft: soft, Hard: hard };
}

export interface RawPool {
  readonly base: string;
  readonly size: number;
}

/** `base=CIDR,size=N` (moby daemon/pkg/opts/address_pools.go). */
export function pool(text: string): RawPool {
  let base: string | undefined;
  let size: number | undefined;
  for (const field of text.split(',')) {
    if (!field.includes('=')) throw new ConfigError(`invalid field '${field}' must be a key=value pair`);
    const [key, value] = keyValue(field);
    if (key === 'base') base = value;
    else if (key === 'size') {
      if (!/^\d+$/.test(value))
        throw new ConfigError(
          `invalid size value: ${value} (must be integer): strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`,
        );
      size = Number(value);
    } else throw new ConfigError(`unexpected key '${key}' in '${field}'`);
  }
  if (base === undefined || size === undefined) {
    throw new ConfigError(`${JSON.stringify(text)} needs both: base=CIDR,size=N`);
  }
  return { base, size };
}

/** `mark` or `mark/mask`, decimal or 0x… (docker/cli dockerd `--bridge-accept-fwmark`). */
export function firewallMark(text: string): { readonly mark: number; readonly mask: number } {
  const [mark = '', mask = '0xffffffff', ...rest] = text.split('/');
  const number = (word: string): number => (/^(0x[0-9a-f]+|\d+)$/i.test(word) ? Number(word) : Number.NaN);
  const parsed = { mark: number(mark), mask: number(mask) };
  if (rest.length > 0 || !(parsed.mark <= 0xffffffff) || !(parsed.mask <= 0xffffffff)) {
    throw new ConfigError(`invalid firewall mark ${JSON.stringify(text)}: it should be MARK or MARK/MASK`);
  }
  return parsed;
}

export function proxy(name: string, text: string): void {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new ConfigError(`invalid ${name}: ${JSON.stringify(text)} should be http://HOST:PORT`);
  }
}
