import { type Family, ipFromBytes } from '../model/address.ts';
import {
  type LinkFacts,
  type ListenerFacts,
  LOCAL_TABLE,
  MAIN_TABLE,
  type NamespaceFacts,
  type RouteFacts,
  type SettingFacts,
} from '../model/kernel-facts.ts';
import type { Port, Protocol } from '../model/port.ts';
import { KernelError } from './kernel.ts';
import { readLegacyFirewall } from './legacy-firewall.ts';
import { IFLA, linkHeader, parseLink } from './link-message.ts';
import { isOwnTable } from './listening-table.ts';
import { macvlanModeOf } from './macvlan.ts';
import { attribute, type NetlinkMessage, parseAttributes, readText, u32 } from './netlink.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { Nftables } from './nftables.ts';
import { readPolicyRules } from './policy-rules.ts';
import { RouteSocket, RTM } from './rtnetlink.ts';
import { listeningSockets } from './socket-diag.ts';
import { currentNetns, socketOwners } from './socket-owner.ts';
import { readSysctl } from './sysctl.ts';

const NETLINK_ROUTE = 0;
const NETLINK_NETFILTER = 12;
/** NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE (linux/netfilter/nf_tables.h). */
const NFT_GETTABLE = (10 << 8) | 1;
const NFTA_TABLE_NAME = 1;
/** linux/netfilter.h, NFPROTO_*. */
const TABLE_FAMILIES: Readonly<Record<number, string>> = {
  1: 'inet',
  2: 'ip',
  3: 'arp',
  5: 'netdev',
  7: 'bridge',
  10: 'ip6',
};

const IFF_UP = 1;
const IFF_LOWER_UP = 0x1_0000;
const RTEXT_FILTER_SKIP_STATS = 8;
const RTM_F_CLONED = 0x200;
const RTA = { DST: 1, OIF: 4, GATEWAY: 5, PRIORITY: 6, PREFSRC: 7, TABLE: 15 } as const;
/** linux/rtnetlink.h, RTN_*. */
const KINDS: Readonly<Record<number, RouteFacts['kind']>> = {
  1: 'unicast',
  2: 'local',
  3: 'broadcast',
  4: 'local',
  6: 'refusing',
  7: 'refusing',
  8: 'refusing',
  9: 'throw',
};

export interface AskedPort {
  readonly protocol: Protocol;
  readonly port: Port;
}

/**
 * Everything that decides about packets in the namespace the thread is in now, but for who listens. Some dumps, about a
 * millisecond on a host with few links; for questions, never for an operation.
 * @throws KernelError
 */
export function readNamespace(): NamespaceFacts {
  const netlink = new NetlinkSocket(NETLINK_ROUTE);
  try {
    const mask = attribute(IFLA.EXT_MASK, u32(RTEXT_FILTER_SKIP_STATS));
    const links = netlink.dump(RTM.GETLINK, [linkHeader(0), mask], 'list links').map(linkFacts);
    const rules = readPolicyRules(netlink);
    // Some hosts have the whole internet in tables of their own; only those that a rule leads to matter.
    const tables = new Set([
      LOCAL_TABLE,
      MAIN_TABLE,
      ...rules.flatMap(({ action }) => (action.kind === 'lookup' ? [action.table] : [])),
    ]);
    return {
      links,
      addresses: RouteSocket.use((routes) => routes.addresses()),
      routes: netlink
        .dump(RTM.GETROUTE, [Buffer.alloc(12)], 'list routes')
        .flatMap(routeFacts)
        .filter(({ table }) => tables.has(table)),
      rules,
      settings: readSettings(links),
      listeners: [],
      firewall: readFirewall(),
      legacy: readLegacyFirewall(),
    };
  } finally {
    netlink.close();
  }
}

function linkFacts(answer: NetlinkMessage): LinkFacts {
  const { index, name, kind, mac, mtu, master, peer, isolated, macvlanMode } = parseLink(answer);
  const flags = answer.payload.readUInt32LE(8);
  const up = (flags & IFF_UP) !== 0;
  const carrier = (flags & IFF_LOWER_UP) !== 0;
  const macvlan = kind === 'macvlan' ? macvlanModeOf(macvlanMode) : undefined;
  return { index, name, kind, up, carrier, mac, mtu, master, peer, isolated, ...(macvlan && { macvlan }) };
}

function routeFacts({ payload }: NetlinkMessage): RouteFacts[] {
  const attributes = parseAttributes(payload, 12);
  const family: Family | undefined = ({ 2: 'ipv4', 10: 'ipv6' } as const)[payload.readUInt8(0)];
  const table = attributes.get(RTA.TABLE)?.readUInt32LE(0) ?? payload.readUInt8(4);
  const kind = KINDS[payload.readUInt8(7)];
  if (family === undefined || kind === undefined) return [];
  // A remembered exception (an MTU learned on the way), no route.
  if ((payload.readUInt32LE(8) & RTM_F_CLONED) !== 0) return [];
  const address = (type: number) => {
    const bytes = attributes.get(type);
    return bytes === undefined ? undefined : ipFromBytes(bytes);
  };
  const to = address(RTA.DST);
  return [
    {
      family,
      table,
      kind,
      to: to === undefined ? undefined : { address: to, length: payload.readUInt8(1) },
      gateway: address(RTA.GATEWAY),
      link: attributes.get(RTA.OIF)?.readUInt32LE(0) ?? 0,
      source: address(RTA.PREFSRC),
      metric: attributes.get(RTA.PRIORITY)?.readUInt32LE(0) ?? 0,
    },
  ];
}

function readSettings(links: readonly LinkFacts[]): SettingFacts {
  const number = (name: string): number => Number(readSysctl(name) ?? 0);
  // A bridge port has no addresses of its own: nothing is routed in by it.
  const routed = links.filter(({ master }) => master === 0).map(({ name }) => name);
  const all = number('net/ipv4/conf/all/rp_filter');
  const own = (name: string): number => Math.max(all, number(`net/ipv4/conf/${name}/rp_filter`));
  const everywhere = number('net/ipv4/conf/all/route_localnet') === 1;
  const most = readSysctl('net/netfilter/nf_conntrack_max');
  return {
    forwarding: {
      ipv4: number('net/ipv4/ip_forward') === 1,
      ipv6: number('net/ipv6/conf/all/forwarding') === 1,
    },
    rpFilter: Object.fromEntries(routed.map((name) => [name, own(name)])),
    routeLocalnet: Object.fromEntries(
      routed.map((name) => [name, everywhere || number(`net/ipv4/conf/${name}/route_localnet`) === 1]),
    ),
    bridgeFirewall: {
      ipv4: number('net/bridge/bridge-nf-call-iptables') === 1,
      ipv6: number('net/bridge/bridge-nf-call-ip6tables') === 1,
    },
    connections:
      most === undefined
        ? undefined
        : { count: number('net/netfilter/nf_conntrack_count'), most: Number(most) },
  };
}

/** Who waits for clients on these ports, in the namespace the thread is in now. @throws KernelError */
export function readListeners(asked: readonly AskedPort[]): readonly ListenerFacts[] {
  const found = [...new Set(asked.map(({ protocol }) => protocol))].flatMap((protocol) =>
    listeningSockets(protocol)
      .filter((socket) => asked.some((each) => each.protocol === protocol && each.port === socket.port))
      .map((socket) => ({ protocol, ...socket })),
  );
  const owners = socketOwners(new Set(found.map(({ inode }) => inode)), currentNetns());
  return found.map(({ inode, ...socket }) => ({ ...socket, program: owners.get(inode) }));
}

/** Only where there is a table at all is libnftables loaded: most namespaces have none. */
function readFirewall(): readonly string[] {
  const tables = foreignTables();
  if (tables.length === 0) return [];
  const nft = new Nftables();
  try {
    return tables.flatMap((table) => {
      try {
        return [nft.listing(`list table ${table}`)];
      } catch (error) {
        // Gone meanwhile.
        if (error instanceof KernelError && error.errno === 'ENOENT') return [];
        throw error;
      }
    });
  } finally {
    nft.close();
  }
}

/** `ip filter`; without what concerns no packet of IP. */
function foreignTables(): readonly string[] {
  const netlink = new NetlinkSocket(NETLINK_NETFILTER);
  try {
    return netlink.dump(NFT_GETTABLE, [Buffer.alloc(4)], 'list tables').flatMap(({ payload }) => {
      const family = TABLE_FAMILIES[payload.readUInt8(0)];
      const bytes = parseAttributes(payload, 4).get(NFTA_TABLE_NAME);
      const name = bytes === undefined ? '' : readText(bytes);
      return family === undefined || family === 'arp' || isOwnTable(name) ? [] : [`${family} ${name}`];
    });
  } finally {
    netlink.close();
  }
}
