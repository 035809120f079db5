import { formatSocketAddress, isIpv4 } from '../model/address.ts';
import type { HostPortResource } from '../plan/resource.ts';
import { resourceKey } from '../plan/resource.ts';
import { DropFilter } from './drop-filter.ts';
import { HostPortTaken, KernelError } from './kernel.ts';
import * as libc from './libc.ts';
import { addressFamily, socketAddress } from './socket-address.ts';

const ON = Buffer.from([1, 0, 0, 0]);
const SOCKETS = {
  tcp: [libc.SOCK_STREAM, libc.IPPROTO_TCP],
  udp: [libc.SOCK_DGRAM, libc.IPPROTO_UDP],
  sctp: [libc.SOCK_STREAM, libc.IPPROTO_SCTP],
} as const;

/**
 * Host ports held by bound sockets that answer nothing: traffic is translated before it would reach them, and no other
 * program can listen there. What conflicts with what (0.0.0.0 with a single address) is the kernel's own judgement; the
 * families are held apart, each by a socket of its own.
 */
export class HostPorts {
  readonly #held = new Map<string, { readonly resource: HostPortResource; readonly fd: number }>();
  readonly #log: (message: string) => void;
  readonly #filter = new DropFilter();

  constructor(log: (message: string) => void) {
    this.#log = log;
  }

  /** @throws HostPortTaken when someone (we, or a foreign program) has it; KernelError EADDRNOTAVAIL for a foreign address */
  hold(port: HostPortResource): void {
    const [type, protocol] = SOCKETS[port.protocol];
    let fd: number;
    try {
      fd = libc.socket(addressFamily(port.address), type, protocol);
    } catch (error) {
      // A kernel without SCTP has no listener on it either.
      if (port.protocol !== 'sctp') throw named(error, port);
      this.#log(`sctp port ${port.port} is not held: ${(error as Error).message}`);
      return;
    }
    try {
      // Lets a connection in TIME_WAIT not stand in the way. Not for UDP, where two such sockets would share the port.
      if (port.protocol !== 'udp') libc.setSocketOption(fd, libc.SOL_SOCKET, libc.SO_REUSEADDR, ON);
      if (!isIpv4(port.address)) libc.setSocketOption(fd, libc.IPPROTO_IPV6, libc.IPV6_V6ONLY, ON);
      this.#filter.attach(fd);
      libc.bind(fd, socketAddress(port.address, port.port));
      if (port.protocol !== 'udp') libc.listen(fd, 1);
    } catch (error) {
      libc.close(fd);
      throw named(error, port);
    }
    this.#held.set(resourceKey(port), { resource: port, fd });
  }

  /** Success when it is not held. */
  release(port: HostPortResource): void {
    const key = resourceKey(port);
    const held = this.#held.get(key);
    if (held === undefined) return;
    libc.close(held.fd);
    this.#held.delete(key);
  }

  list(): readonly HostPortResource[] {
    return [...this.#held.values()].map((held) => held.resource);
  }

  close(): void {
    for (const held of this.#held.values()) libc.close(held.fd);
    this.#held.clear();
    this.#filter.close();
  }
}

function named(error: unknown, port: HostPortResource): unknown {
  if (!(error instanceof KernelError)) return error;
  const what = `${formatSocketAddress(port.address, port.port)}/${port.protocol}: ${error.message}`;
  return error.errno === 'EADDRINUSE'
    ? new HostPortTaken(what, error.errno, port, { cause: error })
    : new KernelError(what, error.errno, port, { cause: error });
}
