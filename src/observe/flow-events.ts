import { causeOfRule } from '../explain/rule-cause.ts';
import type { ConnectionChange } from '../kernel/connection-changes.ts';
import type { LoggedDrop } from '../kernel/drop-log.ts';
import type { ForeignDrop } from '../kernel/foreign-drops.ts';
import type { Ip } from '../model/address.ts';
import type { FlowEnd, FlowEvent, FlowNat } from '../model/flow.ts';
import type { AddressName } from './address-names.ts';

/** An event, and its line of JSON: made once, however many watch. */
export class ToldEvent {
  readonly event: FlowEvent;
  #line: string | undefined;

  constructor(event: FlowEvent) {
    this.event = event;
  }

  /** With its line feed. */
  get line(): string {
    this.#line ??= `${JSON.stringify(this.event)}\n`;
    return this.#line;
  }
}

/** Who has an address. */
export type FindName = (address: Ip) => AddressName | undefined;

type Ends = Pick<FlowEvent, 'time' | 'protocol' | 'from' | 'to'> & { readonly nat?: FlowNat };

const place = (address: Ip, port: number | undefined): Pick<FlowEnd, 'address' | 'port'> => ({
  address,
  ...(port !== undefined && { port }),
});

function namedEnd(find: FindName, address: Ip, port: number | undefined): FlowEnd {
  const { name, network } = find(address) ?? {};
  return {
    ...(name !== undefined && { name }),
    ...(network !== undefined && { network }),
    ...place(address, port),
  };
}

/** From who really asks to who really answers, whatever was translated between. */
function endsOf({ original, reply }: ConnectionChange, find: FindName, time: string): Ends {
  const asked = original.destination !== reply.source || original.destinationPort !== reply.sourcePort;
  const seenAs = original.source !== reply.destination || original.sourcePort !== reply.destinationPort;
  const nat: FlowNat = {
    ...(asked && { asked: place(original.destination, original.destinationPort) }),
    ...(seenAs && { seenAs: place(reply.destination, reply.destinationPort) }),
  };
  return {
    time,
    protocol: original.protocol,
    from: namedEnd(find, original.source, original.sourcePort),
    to: namedEnd(find, reply.source, reply.sourcePort),
    ...((asked || seenAs) && { nat }),
  };
}

export function connectionEvent(change: ConnectionChange, find: FindName, time: string): FlowEvent {
  const ends = endsOf(change, find, time);
  if (change.kind === 'begun') return { kind: 'open', ...ends };
  const { traffic } = change;
  return {
    kind: 'close',
    ...ends,
    answered: change.answered || (traffic?.back.packets ?? 0) > 0,
    ...(traffic && { bytes: { there: traffic.there.bytes, back: traffic.back.bytes } }),
  };
}

/** Undefined where no container is at either end: what a host drops for itself is its own affair. */
export function foreignDropEvent(
  { tuple, rule }: ForeignDrop,
  find: FindName,
  device: string | undefined,
  time: string,
): FlowEvent | undefined {
  const from = namedEnd(find, tuple.source, tuple.sourcePort);
  const to = namedEnd(find, tuple.destination, tuple.destinationPort);
  if (from.network === undefined && to.network === undefined) return undefined;
  const by = device === undefined ? {} : { device };
  return { kind: 'drop', time, protocol: tuple.protocol, from, to, cause: 'foreign-rule', rule, ...by };
}

/** Undefined for what has no addresses (ARP). */
export function dropEvent(
  drop: LoggedDrop,
  find: FindName,
  device: string | undefined,
  time: string,
): FlowEvent | undefined {
  const { tuple, rule, iif, oif } = drop;
  if (tuple === undefined) return undefined;
  const from = namedEnd(find, tuple.source, tuple.sourcePort);
  const to = namedEnd(find, tuple.destination, tuple.destinationPort);
  const sender = from.network !== undefined ? 'container' : from.name === 'host' ? 'host' : 'outside';
  return {
    kind: 'drop',
    time,
    protocol: tuple.protocol,
    from,
    to,
    cause: causeOfRule(rule, { sender, sameBridge: iif !== 0 && iif === oif }),
    rule,
    ...(device !== undefined && { device }),
  };
}
