import { FAMILIES, type Family, type Ip, ipFromBytes } from '../model/address.ts';
import type { Protocol } from '../model/port.ts';
import { NETLINK_NETFILTER } from './netlink-listener.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { Nftables } from './nftables.ts';
import { ADDRESS_BYTES, counterOf, elements, PROTOCOLS } from './port-counters.ts';

const TABLE = 'gangway_metrics';
const NFT_FAMILY = { ipv4: 'ip', ipv6: 'ip6' } as const;
const WAYS = ['there', 'back'] as const;
/** Published ports, times the addresses of the host they are asked at. */
const SIZE = 65_536;

const each = <T>(of: readonly T[], text: (one: T) => string): string => of.map(text).join('\n');
const TRANSPORTS = Object.values(PROTOCOLS);

/** Of which port's connection a packet is: what was asked, and who answers. nft 1.0.6 knows a port only beside its protocol. */
function countingChain(family: Family, protocol: Protocol): string {
  const ip = NFT_FAMILY[family];
  const key = `ct original ${ip} daddr . meta l4proto . ct original proto-dst . ct reply ${ip} saddr`;
  const rule = (way: string, direction: string): string =>
    `meta nfproto ${family} meta l4proto ${protocol} ct direction ${direction} add @${way}_${ip} { ${key} counter }`;
  return `chain ${ip}_${protocol} {
    ${rule('there', 'original')}
    ${rule('back', 'reply')}
  }`;
}

const set = (family: Family, way: string): string => {
  const type = `${family}_addr`;
  return `set ${way}_${NFT_FAMILY[family]} { type ${type} . inet_proto . inet_service . ${type}; size ${SIZE}; flags dynamic; counter; }`;
};

/** What the host itself asked for comes back by `input`; all else passes `postrouting`. */
const TABLE_TEXT = `table inet ${TABLE} {
  flags owner;
  ${each(FAMILIES, (family) => each(WAYS, (way) => set(family, way)))}
  ${each(FAMILIES, (family) => each(TRANSPORTS, (protocol) => countingChain(family, protocol)))}
  chain count { meta nfproto . meta l4proto vmap { ${FAMILIES.flatMap((family) =>
    TRANSPORTS.map((protocol) => `${family} . ${protocol} : goto ${NFT_FAMILY[family]}_${protocol}`),
  ).join(', ')} }; }
  chain postrouting { type filter hook postrouting priority 300; policy accept; ct status dnat goto count; }
  chain input { type filter hook input priority 300; policy accept; ct status dnat ct direction reply goto count; }
}`;

/** What passed for a published port, with the headers of IP. */
export interface PortTraffic {
  readonly protocol: Protocol;
  /** What was asked. */
  readonly hostIp: Ip;
  readonly hostPort: number;
  /** Who answers: a container's address. */
  readonly containerIp: Ip;
  readonly way: (typeof WAYS)[number];
  readonly packets: number;
  readonly bytes: number;
}

/**
 * Counts bytes by published port while it is open: for a packet of a translated connection one lookup in a hash, however
 * many ports there are; for others one look at its connection. The table is the socket's own (nft(8), `flags owner`).
 */
export class PublishedTraffic {
  readonly #nft = new Nftables();

  /** @throws KernelError before Linux 5.12, or without connection tracking */
  constructor() {
    try {
      this.#nft.run(TABLE_TEXT);
    } catch (error) {
      this.#nft.close();
      throw error;
    }
  }

  /** One listing of four sets. @throws KernelError */
  read(): readonly PortTraffic[] {
    const socket = new NetlinkSocket(NETLINK_NETFILTER);
    try {
      return FAMILIES.flatMap((family) =>
        WAYS.flatMap((way) =>
          elements(socket, 'inet', TABLE, `${way}_${NFT_FAMILY[family]}`).flatMap(
            (element) => trafficOf(family, way, element) ?? [],
          ),
        ),
      );
    } finally {
      socket.close();
    }
  }

  close(): void {
    void this.#nft.closeAside();
  }
}

/** A concatenated key has each of its parts at a multiple of four bytes. */
function trafficOf(family: Family, way: PortTraffic['way'], element: Buffer): PortTraffic | undefined {
  const counted = counterOf(element);
  if (counted === undefined) return undefined;
  const { key, packets, bytes } = counted;
  const length = ADDRESS_BYTES[family];
  const protocol = PROTOCOLS[key.readUInt8(length)];
  if (protocol === undefined) return undefined;
  return {
    protocol,
    hostIp: ipFromBytes(key.subarray(0, length)),
    hostPort: key.readUInt16BE(length + 4),
    containerIp: ipFromBytes(key.subarray(length + 8, length + 8 + length)),
    way,
    packets,
    bytes,
  };
}
