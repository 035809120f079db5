import { TABLE_NAME } from '../plan/nft-text.ts';
import type { TableFamily } from '../plan/rule.ts';
import { KernelError } from './kernel.ts';
import { attribute, attributeList, parseAttributes, readText, text } from './netlink.ts';
import { NETLINK_NETFILTER } from './netlink-listener.ts';
import { NetlinkSocket } from './netlink-socket.ts';

/** linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h. */
const GETRULE = (10 << 8) | 7;
const NFPROTO: Readonly<Record<TableFamily, number>> = { ip: 2, ip6: 10, bridge: 7 };
const RULE = { TABLE: 1, CHAIN: 2, EXPRESSIONS: 4, USERDATA: 7 } as const;
const EXPR = { NAME: 1, DATA: 2 } as const;
const COUNTER = { BYTES: 1, PACKETS: 2 } as const;
/** libnftnl's udata.h: type and length are one byte each. */
const USERDATA_COMMENT = 0;

/** What a rule of the engine's tables counted. */
export interface RuleCounter {
  readonly family: TableFamily;
  readonly chain: string;
  /** The comment; several rules of a chain may have the same one. */
  readonly rule: string;
  readonly packets: number;
  readonly bytes: number;
}

/** Rules with a counter, in the order of their chains. One dump a family, none of it elements. @throws KernelError */
export function ruleCounters(): readonly RuleCounter[] {
  const socket = new NetlinkSocket(NETLINK_NETFILTER);
  try {
    return (['ip', 'ip6', 'bridge'] as const).flatMap((family) => counters(socket, family));
  } finally {
    socket.close();
  }
}

function counters(socket: NetlinkSocket, family: TableFamily): readonly RuleCounter[] {
  const parts = [Buffer.from([NFPROTO[family], 0, 0, 0]), attribute(RULE.TABLE, text(TABLE_NAME))];
  try {
    return socket.dump(GETRULE, parts, 'list rules').flatMap(({ payload }) => {
      const rule = parseAttributes(payload, 4);
      const table = rule.get(RULE.TABLE);
      // Kernels before 5.9 list all tables where no chain is named.
      if (table === undefined || readText(table) !== TABLE_NAME) return [];
      const counted = counterOf(rule.get(RULE.EXPRESSIONS));
      const comment = commentOf(rule.get(RULE.USERDATA));
      if (counted === undefined || comment === undefined) return [];
      const chain = readText(rule.get(RULE.CHAIN) ?? Buffer.alloc(0));
      return [{ family, chain, rule: comment, ...counted }];
    });
  } catch (error) {
    // No table: `--iptables=false`, or somebody has just taken it away.
    if (error instanceof KernelError && error.errno === 'ENOENT') return [];
    throw error;
  }
}

function counterOf(expressions: Buffer | undefined): Pick<RuleCounter, 'packets' | 'bytes'> | undefined {
  for (const each of attributeList(expressions ?? Buffer.alloc(0))) {
    const expression = parseAttributes(each);
    if (readText(expression.get(EXPR.NAME) ?? Buffer.alloc(0)) !== 'counter') continue;
    const counted = parseAttributes(expression.get(EXPR.DATA) ?? Buffer.alloc(0));
    const number = (of: number): number => Number(counted.get(of)?.readBigUInt64BE() ?? 0n);
    return { packets: number(COUNTER.PACKETS), bytes: number(COUNTER.BYTES) };
  }
  return undefined;
}

function commentOf(userdata: Buffer | undefined): string | undefined {
  for (let at = 0; userdata !== undefined && at + 2 <= userdata.length; ) {
    const [type, length = 0] = userdata.subarray(at, at + 2);
    if (type === USERDATA_COMMENT) return readText(userdata.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return undefined;
}
