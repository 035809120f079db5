import { type Ipv4, parseIpv4 } from '../model/address.ts';
import { invalid, notImplemented } from '../model/errors.ts';
import { isPort, type Port, type PortRange, type Protocol } from '../model/port.ts';

/** One wish for one container port; `hostPorts` absent: any free one; a range: the first free one of it. */
export interface PortWish {
  readonly protocol: Protocol;
  readonly containerPort: Port;
  readonly hostIp: Ipv4;
  readonly hostPorts?: PortRange;
}

export type PortBindings = Readonly<
  Record<string, readonly { readonly HostIp?: string; readonly HostPort?: string }[] | null>
>;

/** `80/tcp`, `53/udp`, `80`. @throws EngineError INVALID_PARAMETER in Docker's words */
export function parseContainerPort(text: string): { readonly port: Port; readonly protocol: Protocol } {
  const [port = '', protocol = 'tcp', ...rest] = text.split('/');
  if (rest.length > 0 || !['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) {
    throw invalid(`invalid port specification: "${text}"`);
  }
  const number = Number(port);
  if (!/^\d+$/.test(port) || !isPort(number)) throw invalid(`invalid port specification: "${text}"`);
  return { port: number, protocol: protocol.toLowerCase() as Protocol };
}

/** `8080`, `8000-8010`, or empty. @throws EngineError INVALID_PARAMETER */
function parseHostPorts(text: string): PortRange | undefined {
  if (text === '' || text === '0') return undefined;
  const [, first = '', last = first] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  const range = { first: Number(first), last: Number(last || first) };
  if (first === '' || !isPort(range.first) || !isPort(range.last) || range.last < range.first) {
    throw invalid(`invalid port specification: "${text}"`);
  }
  return { first: range.first, last: range.last };
}

/**
 * What a container wants published. @param hostBinding where it goes without an address of its own
 * @throws EngineError INVALID_PARAMETER
 */
export function parsePortWishes(
  bindings: PortBindings,
  exposed: readonly string[],
  publishAll: boolean,
  hostBinding: Ipv4,
): readonly PortWish[] {
  const wishes: PortWish[] = [];
  for (const [key, list] of Object.entries(bindings)) {
    const { port, protocol } = parseContainerPort(key);
    for (const { HostIp: ip = '', HostPort: hostPort = '' } of list?.length ? list : [{}]) {
      const hostPorts = parseHostPorts(hostPort);
      if (ip.includes(':')) throw notImplemented(`publishing on the IPv6 address ${ip}`);
      const hostIp = ip === '' ? hostBinding : parseIpv4(ip);
      wishes.push({ protocol, containerPort: port, hostIp, ...(hostPorts && { hostPorts }) });
    }
  }
  if (publishAll) {
    for (const key of exposed) {
      const { port, protocol } = parseContainerPort(key);
      if (!wishes.some((wish) => wish.containerPort === port && wish.protocol === protocol)) {
        wishes.push({ protocol, containerPort: port, hostIp: hostBinding });
      }
    }
  }
  return wishes.toSorted((a, b) => a.containerPort - b.containerPort || (a.protocol < b.protocol ? -1 : 1));
}
