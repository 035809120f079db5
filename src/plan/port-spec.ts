import { ANY_IPV4, ANY_IPV6, type Family, familyOf, type Ip, parseIp } from '../model/address.ts';
import { invalid } from '../model/errors.ts';
import { isPort, type Port, type PortRange, type Protocol } from '../model/port.ts';

/** One wish for one container port; `hostPorts` absent: any free one; a range: the first free one of it. */
export interface PortWish {
  readonly protocol: Protocol;
  readonly containerPort: Port;
  /** At least one; the same host port on all of them. */
  readonly hostIps: readonly Ip[];
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

/** What decides where a port goes. */
export interface PortPlace {
  /** Families of the network: IPv4 first. */
  readonly families: readonly Family[];
  /** Where a port without an address goes; absent or `0.0.0.0`: to every address of the host, of all the families. */
  readonly hostBinding: Ip | undefined;
  /** For errors. */
  readonly networkName: string;
}

/** What a container wants published. @throws EngineError INVALID_PARAMETER */
export function parsePortWishes(
  bindings: PortBindings,
  exposed: readonly string[],
  publishAll: boolean,
  place: PortPlace,
): readonly PortWish[] {
  const wishes: PortWish[] = [];
  for (const [key, list] of Object.entries(bindings)) {
    const { port, protocol } = parseContainerPort(key);
    for (const { HostIp: ip = '', HostPort: hostPort = '' } of list?.length ? list : [{}]) {
      const hostPorts = parseHostPorts(hostPort);
      const hostIps =
        ip === '' ? defaultIps(place) : [inFamilies(parseIp(ip.replace(/^\[(.*)\]$/, '$1')), place)];
      wishes.push({ protocol, containerPort: port, hostIps, ...(hostPorts && { hostPorts }) });
    }
  }
  if (publishAll) {
    for (const key of exposed) {
      const { port, protocol } = parseContainerPort(key);
      if (!wishes.some((wish) => wish.containerPort === port && wish.protocol === protocol)) {
        wishes.push({ protocol, containerPort: port, hostIps: defaultIps(place) });
      }
    }
  }
  return wishes.toSorted((a, b) => a.containerPort - b.containerPort || (a.protocol < b.protocol ? -1 : 1));
}

function defaultIps(place: PortPlace): readonly Ip[] {
  const { hostBinding, families } = place;
  if (hostBinding !== undefined && hostBinding !== ANY_IPV4) return [inFamilies(hostBinding, place)];
  return families.map((family) => (family === 'ipv4' ? ANY_IPV4 : ANY_IPV6));
}

/** Packets are translated within a family only. */
function inFamilies(ip: Ip, { families, networkName }: PortPlace): Ip {
  if (families.includes(familyOf(ip))) return ip;
  const [what, how] = familyOf(ip) === 'ipv6' ? ['IPv6', 'with --ipv6'] : ['IPv4', 'without --ipv4=false'];
  throw invalid(`cannot publish a port on ${ip}: network ${networkName} has no ${what} (create it ${how})`);
}
