import type { Family, Ip } from './address.ts';

declare const brand: unique symbol;

/** A transport port, 1 to 65535. */
export type Port = number & { readonly [brand]: 'Port' };

export type Protocol = 'tcp' | 'udp' | 'sctp';

/** Inclusive on both ends; `first <= last`. */
export interface PortRange {
  readonly first: Port;
  readonly last: Port;
}

/**
 * A published port (`-p`), after allocation: host ports `hostPorts` on `hostIp` lead to `containerPorts`.
 * Both ranges have the same length; a range stays one object here and is expanded only for the kernel.
 */
export interface PublishedPort {
  /** `0.0.0.0` and `::` mean every address of the host, of their family. The endpoint's address of that family is meant. */
  readonly hostIp: Ip;
  readonly protocol: Protocol;
  readonly hostPorts: PortRange;
  readonly containerPorts: PortRange;
}

/** Ports of a container that are reached by its own address, untranslated. */
export interface OpenPort {
  readonly family: Family;
  readonly protocol: Protocol;
  readonly ports: PortRange;
}

export function isPort(value: number): value is Port {
  return Number.isInteger(value) && value >= 1 && value <= 65535;
}
