import type { IfName } from '../model/address.ts';
import type { ProbeDecision, ProbeHop, ProbePlace } from '../model/probe.ts';
import type { Tuple } from '../model/tuple.ts';
import { type TraceEvent, TraceListener, type TraceVerdict } from './nft-trace.ts';
import { PROBE_TABLE, type ProbeMark, ProbeTable } from './probe-table.ts';
import { RouteSocket } from './rtnetlink.ts';

/** The events of one packet in one base chain. */
interface Passage {
  readonly first: TraceEvent & { readonly tuple: Tuple };
  readonly events: TraceEvent[];
}

const DECISIVE: ReadonlySet<TraceVerdict> = new Set(['accept', 'drop', 'queue', 'stolen']);

/** What is seen of one probe in one namespace. */
export class ProbeView {
  readonly #place: ProbePlace;
  readonly #mark: ProbeMark;
  readonly #inside: <T>(body: () => T) => T;
  readonly #table: ProbeTable;
  readonly #trace: TraceListener;
  readonly #events: TraceEvent[] = [];

  /**
   * In the namespace the thread is in now.
   * @param inside brings the thread there again. @throws KernelError; nothing is left then
   */
  constructor(place: ProbePlace, mark: ProbeMark, inside: <T>(body: () => T) => T) {
    this.#place = place;
    this.#mark = mark;
    this.#inside = inside;
    this.#trace = new TraceListener();
    try {
      this.#table = new ProbeTable(mark);
    } catch (error) {
      this.#trace.close();
      throw error;
    }
  }

  /** What the trace says up to now. A packet that came to the `input` hook's end is delivered to this namespace. */
  look(): 'dropped' | 'delivered' | undefined {
    this.#events.push(...this.#trace.read());
    if (this.#events.some(({ verdict, family }) => verdict === 'drop' && family !== 'netdev'))
      return 'dropped';
    const delivered = this.#events.some(
      ({ family, table, chain }) => family === 'inet' && table === PROBE_TABLE && chain === 'last_input',
    );
    return delivered ? 'delivered' : undefined;
  }

  /** In the order the packet, and after it the answer, came to them. */
  hops(): readonly ProbeHop[] {
    this.look();
    const names = this.#inside(() => RouteSocket.use((routes) => routes.links())).map(
      ({ index, name }) => [index, name as IfName] as const,
    );
    const interfaces = new Map(names);
    const seen = new Set<string>();
    return passages(this.#events)
      .map((passage) => this.#hop(passage, interfaces))
      .filter(({ direction, table, chain }) => {
        // What comes there again is sent again, or a copy.
        const key = `${direction} ${table} ${chain}`;
        return !seen.has(key) && seen.add(key);
      });
  }

  async close(): Promise<void> {
    this.#trace.close();
    await this.#table.close();
  }

  #hop({ first, events }: Passage, interfaces: ReadonlyMap<number, IfName>): ProbeHop {
    const { family, table, chain, tuple, iif, oif } = first;
    return {
      place: this.#place,
      direction: this.#isBack(first) ? 'back' : 'there',
      hook: table === PROBE_TABLE ? chain.replace(/^\w+_/, '') : this.#table.rules.hook(family, table, chain),
      tuple,
      iif: interfaces.get(iif),
      oif: interfaces.get(oif),
      table: `${family} ${table}`,
      chain,
      waypoint: table === PROBE_TABLE,
      decision: this.#decision(events),
    };
  }

  #isBack({ tuple, echoReply }: Passage['first']): boolean {
    if (this.#mark.target.protocol === 'icmp') return echoReply;
    return tuple.destinationPort === this.#mark.id && tuple.sourcePort !== this.#mark.id;
  }

  #decision(events: readonly TraceEvent[]): ProbeDecision | undefined {
    const last = events.findLast(({ kind, verdict }) => kind !== 'return' && DECISIVE.has(verdict));
    if (last === undefined) return undefined;
    const { family, table, chain, handle, verdict } = last;
    return {
      verdict: verdict === 'accept' || verdict === 'drop' ? verdict : 'other',
      by: last.kind === 'policy' ? 'policy' : 'rule',
      chain,
      rule: handle === undefined ? undefined : this.#table.rules.rule(family, table, chain, handle),
    };
  }
}

/** The headers come with the first event of each base chain, so they begin a passage. */
function passages(events: readonly TraceEvent[]): readonly Passage[] {
  const all: Passage[] = [];
  const open = new Map<number, Passage>();
  for (const event of events) {
    const { packet, tuple } = event;
    if (tuple === undefined) {
      open.get(packet)?.events.push(event);
      continue;
    }
    const passage: Passage = { first: { ...event, tuple }, events: [event] };
    open.set(packet, passage);
    all.push(passage);
  }
  return all;
}
