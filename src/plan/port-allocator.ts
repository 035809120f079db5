import { familyOf, formatSocketAddress, type Ip, isAny } from '../model/address.ts';
import { EngineError, system } from '../model/errors.ts';
import type { Port, PortRange, Protocol, PublishedPort } from '../model/port.ts';
import type { PortWish } from './port-spec.ts';

interface Single {
  readonly hostIp: Ip;
  readonly protocol: Protocol;
  readonly hostPort: number;
  readonly containerPort: number;
}

/** A host port that a foreign program holds: tried once, not tried again in the same allocation. */
export type Foreign = (ip: Ip, protocol: Protocol, port: number) => boolean;

/** The host ports that are published by this engine. */
export class PortAllocator {
  readonly #taken = new Map<string, Set<Ip>>();
  readonly #ephemeral: { readonly first: number; readonly last: number };
  /** Next to try, by protocol and address: ports that were just given back are not given out again at once. */
  readonly #next = new Map<string, number>();

  constructor(ephemeral: { readonly first: number; readonly last: number }) {
    this.#ephemeral = ephemeral;
  }

  /**
   * All or nothing; consecutive ports become one range again, as the user wrote them.
   * @throws EngineError SYSTEM `Bind for 0.0.0.0:80 failed: port is already allocated`
   */
  allocate(wishes: readonly PortWish[], foreign: Foreign = () => false): readonly PublishedPort[] {
    const given: Single[] = [];
    try {
      for (const wish of wishes) {
        const hostPort = this.#choose(wish, foreign);
        for (const hostIp of wish.hostIps) {
          this.#add(hostIp, wish.protocol, hostPort);
          given.push({ hostIp, protocol: wish.protocol, hostPort, containerPort: wish.containerPort });
        }
      }
    } catch (error) {
      for (const port of given) this.#remove(port.hostIp, port.protocol, port.hostPort);
      throw error;
    }
    return coalesce(given);
  }

  /** Takes what is published from before. */
  adopt(published: readonly PublishedPort[]): void {
    forEachPort(published, (ip, protocol, port) => this.#add(ip, protocol, port));
  }

  release(published: readonly PublishedPort[]): void {
    forEachPort(published, (ip, protocol, port) => this.#remove(ip, protocol, port));
  }

  #choose(wish: PortWish, foreign: Foreign): number {
    const { hostIps, protocol, hostPorts } = wish;
    const conflict = (port: number): Ip | undefined =>
      hostIps.find((ip) => this.#conflicts(ip, protocol, port));
    if (hostPorts !== undefined && hostPorts.first === hostPorts.last) {
      const taken = conflict(hostPorts.first);
      if (taken === undefined) return hostPorts.first;
      throw allocated(taken, hostPorts.first);
    }
    const { first, last } = hostPorts ?? this.#ephemeral;
    const key = `${protocol} ${hostIps.join()}`;
    const start =
      hostPorts === undefined ? Math.max(first, Math.min(this.#next.get(key) ?? first, last)) : first;
    for (let i = 0; i <= last - first; i++) {
      const port = first + ((start - first + i) % (last - first + 1));
      if (conflict(port) !== undefined || hostIps.some((ip) => foreign(ip, protocol, port))) continue;
      if (hostPorts === undefined) this.#next.set(key, port + 1);
      return port;
    }
    if (hostPorts !== undefined) throw allocated(hostIps[0] as Ip, `${first}-${last}`);
    throw new EngineError('SYSTEM', 'all ports are allocated');
  }

  #conflicts(ip: Ip, protocol: Protocol, port: number): boolean {
    const holders = this.#taken.get(`${protocol} ${port}`);
    if (holders === undefined) return false;
    const family = familyOf(ip);
    return [...holders].some(
      (holder) => holder === ip || (familyOf(holder) === family && (isAny(ip) || isAny(holder))),
    );
  }

  #add(ip: Ip, protocol: Protocol, port: number): void {
    const key = `${protocol} ${port}`;
    const holders = this.#taken.get(key);
    if (holders === undefined) this.#taken.set(key, new Set([ip]));
    else holders.add(ip);
  }

  #remove(ip: Ip, protocol: Protocol, port: number): void {
    const key = `${protocol} ${port}`;
    const holders = this.#taken.get(key);
    holders?.delete(ip);
    if (holders?.size === 0) this.#taken.delete(key);
  }
}

function allocated(ip: Ip, port: number | string): EngineError {
  return system(`Bind for ${formatSocketAddress(ip, port)} failed: port is already allocated`);
}

export function forEachPort(
  published: readonly PublishedPort[],
  body: (ip: Ip, protocol: Protocol, hostPort: number, containerPort: number) => void,
): void {
  for (const { hostIp, protocol, hostPorts, containerPorts } of published) {
    for (let port = hostPorts.first as number; port <= hostPorts.last; port++) {
      body(hostIp, protocol, port, containerPorts.first + port - hostPorts.first);
    }
  }
}

function coalesce(singles: readonly Single[]): readonly PublishedPort[] {
  const sorted = singles.toSorted(
    (a, b) =>
      compare(a.hostIp, b.hostIp) ||
      compare(a.protocol, b.protocol) ||
      a.containerPort - b.containerPort ||
      a.hostPort - b.hostPort,
  );
  const ranges: PublishedPort[] = [];
  for (const single of sorted) {
    const last = ranges.at(-1);
    if (
      last !== undefined &&
      last.hostIp === single.hostIp &&
      last.protocol === single.protocol &&
      last.hostPorts.last + 1 === single.hostPort &&
      last.containerPorts.last + 1 === single.containerPort
    ) {
      ranges[ranges.length - 1] = {
        ...last,
        hostPorts: range(last.hostPorts.first, single.hostPort),
        containerPorts: range(last.containerPorts.first, single.containerPort),
      };
    } else {
      ranges.push({
        hostIp: single.hostIp,
        protocol: single.protocol,
        hostPorts: range(single.hostPort, single.hostPort),
        containerPorts: range(single.containerPort, single.containerPort),
      });
    }
  }
  return ranges;
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const range = (first: number, last: number): PortRange => ({ first: first as Port, last: last as Port });
