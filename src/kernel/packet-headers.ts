import { ipFromBytes } from '../model/address.ts';
import { protocolOf, type Tuple } from '../model/tuple.ts';

/** The tuple in a packet's headers (RFC 791, RFC 8200 without extension headers). Undefined when it is no IP. */
export function tupleOf(
  network: Buffer,
  transport: Buffer | undefined = afterNetworkHeader(network),
): Tuple | undefined {
  const version = network.length === 0 ? 0 : network.readUInt8(0) >> 4;
  if (version === 4 && network.length >= 20) {
    return withPorts(
      network.readUInt8(9),
      network.subarray(12, 16),
      network.subarray(16, 20),
      // Of a later fragment these bytes are data.
      (network.readUInt16BE(6) & 0x1fff) === 0 ? transport : undefined,
    );
  }
  if (version === 6 && network.length >= 40) {
    return withPorts(network.readUInt8(6), network.subarray(8, 24), network.subarray(24, 40), transport);
  }
  return undefined;
}

function afterNetworkHeader(network: Buffer): Buffer | undefined {
  if (network.length === 0) return undefined;
  const first = network.readUInt8(0);
  return network.subarray(first >> 4 === 6 ? 40 : (first & 0xf) * 4);
}

function withPorts(
  number: number,
  source: Buffer,
  destination: Buffer,
  transport: Buffer | undefined,
): Tuple {
  const protocol = protocolOf(number);
  const ends = { protocol, source: ipFromBytes(source), destination: ipFromBytes(destination) };
  if (transport === undefined) return ends;
  if (typeof protocol === 'number') return ends;
  if (protocol === 'icmp' || protocol === 'icmpv6')
    return transport.length < 6 ? ends : { ...ends, echoId: transport.readUInt16BE(4) };
  if (transport.length < 4) return ends;
  return { ...ends, sourcePort: transport.readUInt16BE(0), destinationPort: transport.readUInt16BE(2) };
}
