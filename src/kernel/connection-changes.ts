import {
  ATTRIBUTES,
  type Connection,
  CT_GET,
  CTA,
  connectionIn,
  idIn,
  isClosed,
  kindOf,
  openConnectionEvents,
  type PassedTraffic,
  trafficIn,
} from './conntrack-events.ts';
import * as libc from './libc.ts';
import { findAttribute } from './netlink.ts';
import { NETLINK_NETFILTER, openListener, visitNow } from './netlink-listener.ts';
import { BEGINNING_AND_END } from './socket-filter.ts';

const NLM_F_REQUEST = 1;
const NLMSG_HEADER = 16;
/** Connections whose end is awaited; the oldest is forgotten. */
const REMEMBERED = 65_536;

/** The beginning or the end of a connection. */
export interface ConnectionChange extends Connection {
  readonly kind: 'begun' | 'ended';
  /** Of what ended; absent without `net.netfilter.nf_conntrack_acct`. */
  readonly traffic?: PassedTraffic | undefined;
}

interface Ended extends ConnectionChange {
  traffic: PassedTraffic | undefined;
}

/** Tells the beginning of each connection, and its end once; the end only of those whose beginning was told. */
export class ChangeReader {
  readonly #open = new Set<number>();
  #changes: ConnectionChange[] = [];
  /** By the number of the question. */
  #asked: Ended[] = [];
  #questions: Buffer[] = [];
  #forgotten = 0;

  /** What was found since the last call, and how many ends will not be told. */
  take(): { readonly changes: readonly ConnectionChange[]; readonly forgotten: number } {
    const taken = { changes: this.#changes, forgotten: this.#forgotten };
    this.#changes = [];
    this.#forgotten = 0;
    return taken;
  }

  /** One event, as it came. */
  read(message: Buffer, length: number): void {
    const kind = kindOf(message, length);
    // What came before the socket had its filter is not filtered.
    if (kind === undefined || (kind === 'update' && !isClosed(message, length))) return;
    const id = idIn(message, length);
    if (kind !== 'new' && !this.#open.delete(id)) return;
    const connection = connectionIn(message, length);
    if (connection === undefined) return;
    if (kind === 'new') {
      this.#remember(id);
      this.#changes.push({ kind: 'begun', ...connection });
      return;
    }
    const ended: Ended = { kind: 'ended', ...connection, traffic: trafficIn(message, length) };
    this.#changes.push(ended);
    if (kind === 'update') this.#ask(ended, message, length);
  }

  /** What is not known of ends, as one datagram to the kernel; undefined when all is. */
  question(): Buffer | undefined {
    return this.#questions.length === 0 ? undefined : Buffer.concat(this.#questions.splice(0));
  }

  /** One answer, as it came. An entry that is gone, and one nothing was counted of, says nothing. */
  answer(message: Buffer, length: number): void {
    if (kindOf(message, length) === undefined) return;
    const ended = this.#asked[message.readUInt32LE(8)];
    if (ended !== undefined) ended.traffic = trafficIn(message, length);
  }

  /** All answers that there will be have come. */
  answered(): void {
    this.#asked = [];
  }

  #remember(id: number): void {
    const [oldest] = this.#open.size < REMEMBERED ? [] : this.#open;
    if (oldest !== undefined) {
      this.#open.delete(oldest);
      this.#forgotten++;
    }
    this.#open.add(id);
  }

  /** The kernel counts, and tells it by itself only when it forgets the entry, minutes after a TCP connection has ended. */
  #ask(ended: Ended, message: Buffer, length: number): void {
    const tuple = findAttribute(message, CTA.ORIGINAL, ATTRIBUTES, length);
    const end = tuple + message.readUInt16LE(tuple);
    const question = Buffer.alloc(ATTRIBUTES + end - tuple);
    question.writeUInt32LE(question.length, 0);
    question.writeUInt16LE(CT_GET, 4);
    question.writeUInt16LE(NLM_F_REQUEST, 6);
    question.writeUInt32LE(this.#asked.length, 8);
    question.writeUInt8(message.readUInt8(NLMSG_HEADER), NLMSG_HEADER);
    message.copy(question, ATTRIBUTES, tuple, end);
    this.#asked.push(ended);
    this.#questions.push(question);
  }
}

/**
 * Hears where connections begin and end in the namespace it is made in. The kernel makes no events while nobody hears
 * (`net.netfilter.nf_conntrack_events=2`), so those that were there before do not tell of their end.
 */
export class ConnectionChanges {
  readonly #reader = new ChangeReader();
  readonly #events: number;
  readonly #asker: number;

  /** @throws KernelError */
  constructor() {
    this.#events = openConnectionEvents(BEGINNING_AND_END);
    try {
      this.#asker = openListener(NETLINK_NETFILTER, 0);
    } catch (error) {
      libc.close(this.#events);
      throw error;
    }
  }

  /** What happened since the last call. @param datagrams at most as many are read; the rest is kept. @throws KernelError */
  read(datagrams: number): {
    readonly changes: readonly ConnectionChange[];
    /** At least as many are missing. */
    readonly lost: number;
    readonly more: boolean;
  } {
    const { overrun, more } = visitNow(this.#events, datagrams, (message, length) =>
      this.#reader.read(message, length),
    );
    this.#ask();
    const { changes, forgotten } = this.#reader.take();
    return { changes, lost: forgotten + (overrun ? 1 : 0), more };
  }

  close(): void {
    libc.close(this.#events);
    libc.close(this.#asker);
  }

  /** The answers have come when the question is sent. */
  #ask(): void {
    const question = this.#reader.question();
    if (question === undefined) return;
    libc.send(this.#asker, question);
    visitNow(this.#asker, Number.POSITIVE_INFINITY, (message, length) =>
      this.#reader.answer(message, length),
    );
    this.#reader.answered();
  }
}
