import { type Family, ipFromBytes } from '../model/address.ts';
import type { PolicyRule } from '../model/kernel-facts.ts';
import { KernelError } from './kernel.ts';
import { type NetlinkMessage, parseAttributes, readText } from './netlink.ts';
import type { NetlinkSocket } from './netlink-socket.ts';

const RTM_GETRULE = 34;
/** linux/fib_rules.h, FRA_*. */
const FRA = {
  DST: 1,
  SRC: 2,
  IIFNAME: 3,
  GOTO: 4,
  PRIORITY: 6,
  FWMARK: 10,
  SUPPRESS_PREFIXLEN: 14,
  TABLE: 15,
  FWMASK: 16,
  OIFNAME: 17,
  L3MDEV: 19,
  UID_RANGE: 20,
  IP_PROTO: 22,
  SPORT_RANGE: 23,
  DPORT_RANGE: 24,
  SPORT_MASK: 28,
  DPORT_MASK: 29,
} as const;
/** What a rule can ask besides, of which nothing is known here, in the words of ip-rule(8). */
const OTHERS: Readonly<Record<number, string>> = {
  12: 'tun_id',
  13: 'suppress_ifgroup',
  25: 'dsfield',
  26: 'flowlabel',
};
/** FR_ACT_*. */
const REFUSING: Readonly<Record<number, 'blackhole' | 'unreachable' | 'prohibit'>> = {
  6: 'blackhole',
  7: 'unreachable',
  8: 'prohibit',
};
const LOOKUP = 1;
const GOTO = 2;
const FIB_RULE_INVERT = 2;
const WHOLE_PORT = 0xffff;
const UNSET = 0xffff_ffff;

/** What a kernel without policy routing does (CONFIG_IP_MULTIPLE_TABLES), and every other one until somebody changes it. */
const USUAL: readonly PolicyRule[] = (['ipv4', 'ipv6'] as const).flatMap((family) =>
  [255, 254].map((table) => ({
    ...{ family, priority: table === 255 ? 0 : 32766, not: false, others: [] },
    action: { kind: 'lookup', table } as const,
  })),
);

/** `ip rule` of the namespace the thread is in now, in the kernel's order. @throws KernelError */
export function readPolicyRules(netlink: NetlinkSocket): readonly PolicyRule[] {
  try {
    return netlink
      .dump(RTM_GETRULE, [Buffer.alloc(12)], 'list policy rules')
      .flatMap(policyRule)
      .toSorted((a, b) => a.priority - b.priority);
  } catch (error) {
    if (error instanceof KernelError && error.errno === 'EOPNOTSUPP') return USUAL;
    throw error;
  }
}

function policyRule({ payload }: NetlinkMessage): PolicyRule[] {
  const family: Family | undefined = ({ 2: 'ipv4', 10: 'ipv6' } as const)[payload.readUInt8(0)];
  if (family === undefined) return [];
  const attributes = parseAttributes(payload, 12);
  const number = (type: number): number | undefined => attributes.get(type)?.readUInt32LE(0);
  const name = (type: number): string | undefined => {
    const bytes = attributes.get(type);
    return bytes && readText(bytes);
  };
  const prefix = (type: number, length: number) => {
    const bytes = attributes.get(type);
    return bytes && { address: ipFromBytes(bytes), length };
  };
  const range = (type: number, read: (bytes: Buffer, at: 0 | 1) => number) => {
    const bytes = attributes.get(type);
    return bytes && { first: read(bytes, 0), last: read(bytes, 1) };
  };
  const ports = (type: number) => range(type, (bytes, at) => bytes.readUInt16LE(at * 2));
  const mark = number(FRA.FWMARK);
  const suppress = number(FRA.SUPPRESS_PREFIXLEN);
  const tos = payload.readUInt8(3) === 0 ? [] : ['tos'];
  const l3mdev = (attributes.get(FRA.L3MDEV)?.readUInt8(0) ?? 0) === 0 ? [] : ['l3mdev'];
  // Since Linux 6.15 with a mask, which of a range and of one port is whole.
  const masks = [FRA.SPORT_MASK, FRA.DPORT_MASK].flatMap((type) => {
    const mask = attributes.get(type)?.readUInt16LE(0) ?? WHOLE_PORT;
    return mask === WHOLE_PORT || mask === 0 ? [] : ['port mask'];
  });
  const others = [...attributes.keys()].flatMap((type) => OTHERS[type] ?? []);
  const given = {
    to: prefix(FRA.DST, payload.readUInt8(1)),
    from: prefix(FRA.SRC, payload.readUInt8(2)),
    iif: name(FRA.IIFNAME),
    oif: name(FRA.OIFNAME),
    mark: mark === undefined ? undefined : { value: mark, mask: number(FRA.FWMASK) ?? UNSET },
    protocol: attributes.get(FRA.IP_PROTO)?.readUInt8(0),
    sport: ports(FRA.SPORT_RANGE),
    dport: ports(FRA.DPORT_RANGE),
    uid: range(FRA.UID_RANGE, (bytes, at) => bytes.readUInt32LE(at * 4)),
    suppress: suppress === UNSET ? undefined : suppress,
  };
  return [
    {
      family,
      priority: number(FRA.PRIORITY) ?? 0,
      not: (payload.readUInt32LE(8) & FIB_RULE_INVERT) !== 0,
      action: actionOf(
        payload.readUInt8(7),
        number(FRA.TABLE) ?? payload.readUInt8(4),
        number(FRA.GOTO) ?? 0,
      ),
      others: [...tos, ...l3mdev, ...masks, ...others],
      ...given,
    },
  ];
}

function actionOf(action: number, table: number, to: number): PolicyRule['action'] {
  const how = REFUSING[action];
  if (how !== undefined) return { kind: 'refusing', how };
  if (action === LOOKUP) return { kind: 'lookup', table };
  return action === GOTO ? { kind: 'goto', priority: to } : { kind: 'nop' };
}
