import type { BridgedPacket, TcpMark } from '../kernel/bridged-packets.ts';
import type { ConnectionChange } from '../kernel/connection-changes.ts';
import { destinationOf, reversed, sourceOf, type Tuple } from '../model/tuple.ts';

interface Flow {
  readonly original: Tuple;
  /** Sequence numbers at the beginning, there and back. */
  readonly first: { readonly there: number; back: number | undefined };
  readonly bytes: { there: number; back: number };
  ended: 'no' | 'there' | 'back';
}

/** Flows whose end is awaited; the oldest is forgotten. */
const REMEMBERED = 65_536;

const keyOf = (tuple: Tuple): string => `${sourceOf(tuple)} ${destinationOf(tuple)}`;
/** TCP counts bytes modulo 4 GiB (RFC 9293 §3.4). */
const distance = (from: number, to: number): number => (to - from) >>> 0;

/**
 * Connections of which only the first and the last segments are seen, told as connection tracking tells its own. Their
 * bytes are what the sequence numbers count: data without headers, modulo 4 GiB.
 */
export class BridgedFlows {
  readonly #flows = new Map<string, Flow>();

  /** @returns what this packet begins or ends */
  take({ tuple, tcp }: BridgedPacket): ConnectionChange | undefined {
    if (tcp === undefined) return changeOf('begun', tuple, false);
    if (tcp.syn && !tcp.ack) return this.#open(tuple, tcp);
    const there = this.#flows.get(keyOf(tuple));
    const back = there === undefined ? this.#flows.get(keyOf(reversed(tuple))) : undefined;
    const flow = there ?? back;
    if (flow === undefined) return undefined;
    const way = there === undefined ? 'back' : 'there';
    if (tcp.syn) {
      flow.first.back ??= tcp.sequence;
      return undefined;
    }
    count(flow, way, tcp);
    const done = tcp.reset || (tcp.fin && flow.ended !== 'no' && flow.ended !== way);
    if (!done) {
      flow.ended = way;
      return undefined;
    }
    this.#flows.delete(keyOf(flow.original));
    return closed(flow, way === 'back' || flow.first.back !== undefined);
  }

  #open(original: Tuple, { sequence }: TcpMark): ConnectionChange | undefined {
    const key = keyOf(original);
    // The same SYN again.
    if (this.#flows.get(key)?.first.there === sequence) return undefined;
    const [oldest] = this.#flows.keys();
    if (this.#flows.size >= REMEMBERED && oldest !== undefined) this.#flows.delete(oldest);
    const flow: Flow = {
      original,
      first: { there: sequence, back: undefined },
      bytes: { there: 0, back: 0 },
      ended: 'no',
    };
    this.#flows.set(key, flow);
    return changeOf('begun', original, false);
  }
}

/** By what a last segment says of both directions. */
function count(flow: Flow, way: 'there' | 'back', { sequence, acknowledged, ack, length }: TcpMark): void {
  const other = way === 'there' ? 'back' : 'there';
  const [own, others] = [flow.first[way], flow.first[other]];
  // A refusal has no sequence number of its own. The SYN counts one (RFC 9293 §3.4).
  if (own === undefined) return;
  flow.bytes[way] = Math.max(flow.bytes[way], distance(own + 1, sequence) + length);
  if (!ack || others === undefined || acknowledged === others) return;
  // So does the FIN of the other side, once it is acknowledged.
  const fin = flow.ended === other ? 1 : 0;
  flow.bytes[other] = Math.max(flow.bytes[other], distance(others + 1, acknowledged) - fin);
}

const closed = ({ original, bytes }: Flow, answered: boolean): ConnectionChange => ({
  ...changeOf('ended', original, answered),
  traffic: {
    there: { packets: 0, bytes: bytes.there },
    back: { packets: 0, bytes: bytes.back },
  },
});

const changeOf = (kind: ConnectionChange['kind'], original: Tuple, answered: boolean): ConnectionChange => ({
  kind,
  original,
  reply: reversed(original),
  answered,
});
