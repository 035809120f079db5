import { FAMILIES, type Family, type Ip, ipFromBytes } from '../model/address.ts';
import type { Protocol } from '../model/port.ts';
import { METRICS_TABLE } from './listening-table.ts';
import { NETLINK_NETFILTER } from './netlink-listener.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { Nftables } from './nftables.ts';
import { ADDRESS_BYTES, counterOf, elements, PROTOCOLS } from './port-counters.ts';

const NFT_FAMILY = { ipv4: 'ip', ipv6: 'ip6' } as const;
const WAYS = ['there', 'back'] as const;
/** Published ports, times the addresses of the host they are asked at. */
const SIZE = 65_536;

const setName = (family: Family, way: PortTraffic['way']): string => `${way}_${NFT_FAMILY[family]}`;

const setText = (family: Family, way: PortTraffic['way']): string => {
  const type = `${family}_addr . inet_proto . inet_service . ${family}_addr`;
  return `set ${setName(family, way)} { type ${type}; size ${SIZE}; flags dynamic; counter; }`;
};

/** By what was asked, and who answers. nft 1.0.6 knows a port only beside its protocol, so there is a rule for each. */
function ruleText(protocol: Protocol, family: Family, way: PortTraffic['way']): string {
  const ip = NFT_FAMILY[family];
  const key = `ct original ${ip} daddr . meta l4proto . ct original proto-dst . ct reply ${ip} saddr`;
  const packets = `meta l4proto ${protocol} meta nfproto ${family} ct direction ${way === 'there' ? 'original' : 'reply'}`;
  return `${packets} add @${setName(family, way)} { ${key} counter } return`;
}

const SETS = FAMILIES.flatMap((family) => WAYS.map((way) => setText(family, way)));
/** TCP and IPv4 first: most packets are done with a rule or two. */
const RULES = Object.values(PROTOCOLS).flatMap((protocol) =>
  FAMILIES.flatMap((family) => WAYS.map((way) => ruleText(protocol, family, way))),
);

/** What the host itself asked for comes back by `input`; all else passes `postrouting`. */
const TABLE_TEXT = `table inet ${METRICS_TABLE} {
  flags owner;
  ${SETS.join('\n  ')}
  chain count {
    ${RULES.join('\n    ')}
  }
  chain postrouting { type filter hook postrouting priority 300; policy accept; ct status dnat jump count; }
  chain input { type filter hook input priority 300; policy accept; ct status dnat ct direction reply jump count; }
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
 * Counts bytes by published port while it is open: 0.5 µs for a packet of a translated connection, however many
 * ports there are, 0.1 for others that leave the host. The table is the socket's own (nft(8), `flags owner`).
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
          elements(socket, 'inet', METRICS_TABLE, setName(family, way)).flatMap(
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
