import { formatSocketAddress, type Ip } from './address.ts';

/** A packet's protocol, by its name where it has ports or an identifier, else by its number (IANA). */
export type PacketProtocol = 'tcp' | 'udp' | 'sctp' | 'icmp' | 'icmpv6' | number;

/** Who sends to whom. Ports of tcp, udp and sctp; of an echo its identifier; of other protocols neither. */
export interface Tuple {
  readonly protocol: PacketProtocol;
  readonly source: Ip;
  readonly destination: Ip;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly echoId?: number;
}

const PROTOCOLS: Readonly<Record<number, PacketProtocol>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmpv6',
  132: 'sctp',
};

export const protocolOf = (number: number): PacketProtocol => PROTOCOLS[number] ?? number;

const end = (address: Ip, port: number | undefined): string =>
  port === undefined ? address : formatSocketAddress(address, port);

export const sourceOf = ({ source, sourcePort }: Tuple): string => end(source, sourcePort);
export const destinationOf = ({ destination, destinationPort }: Tuple): string =>
  end(destination, destinationPort);

/** The answer's tuple where nothing is translated. */
export const reversed = (tuple: Tuple): Tuple => ({
  ...tuple,
  source: tuple.destination,
  destination: tuple.source,
  ...(tuple.destinationPort !== undefined && { sourcePort: tuple.destinationPort }),
  ...(tuple.sourcePort !== undefined && { destinationPort: tuple.sourcePort }),
});
