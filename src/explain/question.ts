import { type Ip, parseIp } from '../model/address.ts';
import { EngineError, invalid } from '../model/errors.ts';
import { isPort, type Port, type Protocol } from '../model/port.ts';

/** One end of a question, as it was written. */
export type Party =
  /** A program on the host. */
  | { readonly kind: 'host' }
  /** Whatever is behind the default route. */
  | { readonly kind: 'internet' }
  /** A neighbour of the host on the uplink's network. */
  | { readonly kind: 'outside' }
  | { readonly kind: 'address'; readonly address: Ip }
  /** A container, or a name that somebody may have. */
  | { readonly kind: 'name'; readonly name: string };

/** "Why can FROM reach TO, and why not?" */
export interface Asked {
  readonly from: Party;
  readonly to: Party;
  /** Absent: whether packets arrive at all, as ping asks. */
  readonly port: Port | undefined;
  readonly protocol: Protocol;
}

const FORM = 'FROM TO[:PORT[/PROTO]], as in `web db:3306` or `outside web:80/tcp`';
const PROTOCOLS: readonly Protocol[] = ['tcp', 'udp', 'sctp'];
const KEYWORDS = ['host', 'internet', 'outside'] as const;
/** Container names, names of networks' members, host names (moby names.RestrictedNameChars, RFC 1123). */
const NAME = /^[a-zA-Z0-9_][a-zA-Z0-9_.-]*$/;

/** @throws EngineError INVALID_PARAMETER saying which part is wrong and what would be right */
export function parseQuestion(from: string, to: string): Asked {
  if (from === '') throw invalid(`who asks? ${FORM}`);
  if (to === '') throw invalid(`who is asked? ${FORM}`);
  const asker = parseParty(from, 'FROM');
  const { party, port, protocol } = parseTarget(to);
  const away = (end: Party): boolean => end.kind === 'internet' || end.kind === 'outside';
  if (away(asker) && away(party)) {
    throw invalid(`packets from ${from} to ${to} do not pass this host: one end has to be on it`);
  }
  return { from: asker, to: party, port, protocol };
}

function parseTarget(text: string): {
  readonly party: Party;
  readonly port: Port | undefined;
  readonly protocol: Protocol;
} {
  const [, host = text, portText, protocolText] = splitTarget(text);
  const protocol = PROTOCOLS.find((known) => known === (protocolText ?? 'tcp').toLowerCase());
  if (protocol === undefined) {
    throw invalid(`unknown protocol ${JSON.stringify(protocolText)} in ${text}: tcp, udp or sctp`);
  }
  const party = parseParty(host.replace(/^\[(.*)\]$/, '$1'), 'TO');
  if (portText === undefined) return { party, port: undefined, protocol };
  const port = Number(portText);
  if (!/^\d+$/.test(portText) || !isPort(port)) {
    throw invalid(`${JSON.stringify(portText)} in ${text} is no port: 1 to 65535`);
  }
  return { party, port, protocol };
}

/** An IPv6 address without brackets has no port after it. */
function splitTarget(text: string): readonly (string | undefined)[] {
  if (/^[\da-fA-F:.]*:[\da-fA-F.]*:[\da-fA-F:.]*$/.test(text)) return [text, text];
  const parts = /^(\[[^\]]*\]|\/?[^:/]+)(?::([^/]*)(?:\/([^/]*))?)?$/.exec(text);
  if (parts === null) throw invalid(`${JSON.stringify(text)} is not understood: ${FORM}`);
  return parts;
}

function parseParty(text: string, which: 'FROM' | 'TO'): Party {
  const keyword = KEYWORDS.find((known) => known === text);
  if (keyword !== undefined) return { kind: keyword };
  if (/^[\d.]+$/.test(text) || text.includes(':')) {
    try {
      return { kind: 'address', address: parseIp(text) };
    } catch (error) {
      // A container may be called 12: only what looks like an address and is none is wrong.
      if (!(error instanceof EngineError) || !/[.:]/.test(text)) return { kind: 'name', name: text };
      throw invalid(`${which}: ${error.message}`);
    }
  }
  const name = text.replace(/^\//, '');
  if (!NAME.test(name)) {
    throw invalid(
      `${which} ${JSON.stringify(text)} is not understood: a container, a name, an address, host, outside or internet`,
    );
  }
  return { kind: 'name', name };
}
