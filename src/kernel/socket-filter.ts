import koffi from 'koffi';
import * as libc from './libc.ts';

/** Classic BPF for netlink sockets (linux/filter.h): what the kernel need not even hand over. */

const SO_ATTACH_FILTER = 26;
/** BPF_LD with BPF_W or BPF_B and BPF_ABS or BPF_IND, BPF_LDX, BPF_JMP, BPF_RET, BPF_TAX. */
const LOAD_WORD = 0x00;
const LOAD_WORD_AT = 0x20;
const LOAD_BYTE_AT = 0x30;
const LOAD_BYTE_BY_X = 0x50;
const LOAD_X = 0x01;
const JUMP_EQUAL = 0x15;
const JUMP_SET = 0x45;
const RETURN = 0x06;
const TAX = 0x07;
/** SKF_AD_OFF + SKF_AD_NLATTR: A becomes where the attribute of type X is, from offset A on; 0: nowhere. */
const FIND = 0xffff_f000 + 12;
/** The same within the attribute at A. */
const FIND_NESTED = 0xffff_f000 + 16;
/** Length of struct nlmsghdr and struct nfgenmsg. */
const ATTRIBUTES = 20;
const MESSAGE = 4;
const FLAGS_HIGH = 7;

type Instruction = readonly [code: number, k: number, ifTrue?: string, ifFalse?: string];
/** Instructions, and names of the places that jumps lead to. */
export type Program = readonly (Instruction | string)[];

/** Keeps a message or drops it: the two ends of every program. */
const ENDS: Program = ['keep', [RETURN, 0xffff_ffff], 'drop', [RETURN, 0]];

const find = (type: number, otherwise: string): Program => [
  [LOAD_X, type],
  [LOAD_WORD, ATTRIBUTES],
  [LOAD_WORD_AT, FIND],
  [JUMP_EQUAL, 0, otherwise],
];
const findNested = (type: number, otherwise: string): Program => [
  [LOAD_X, type],
  [LOAD_WORD_AT, FIND_NESTED],
  [JUMP_EQUAL, 0, otherwise],
];

/**
 * Of events of connection tracking the beginning and the end: a new entry, a TCP connection that both sides are done
 * with, and an entry that goes without that having been told. Of a connection's eight events or so, two.
 */
export const BEGINNING_AND_END: Program = [
  // NLM_F_CREATE.
  [LOAD_BYTE_AT, FLAGS_HIGH],
  [JUMP_SET, 0x04, 'keep'],
  // CTA_PROTOINFO, CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE.
  ...find(4, 'open'),
  ...findNested(1, 'open'),
  ...findNested(1, 'open'),
  [TAX, 0],
  [LOAD_BYTE_BY_X, 4],
  // TCP_CONNTRACK_TIME_WAIT, TCP_CONNTRACK_CLOSE.
  [JUMP_EQUAL, 7, 'closed'],
  [JUMP_EQUAL, 8, 'closed'],
  'open',
  // IPCTNL_MSG_CT_DELETE.
  [LOAD_BYTE_AT, MESSAGE],
  [JUMP_EQUAL, 2, 'keep', 'drop'],
  'closed',
  [LOAD_BYTE_AT, MESSAGE],
  [JUMP_EQUAL, 2, 'drop', 'keep'],
  ...ENDS,
];

/** Before the socket hears anything, or some is heard that the program would drop. @throws KernelError */
export function attachFilter(fd: number, program: Program): void {
  const places = new Map<string, number>();
  const instructions: Instruction[] = [];
  for (const each of program) {
    if (typeof each === 'string') places.set(each, instructions.length);
    else instructions.push(each);
  }
  const to = (name: string | undefined, from: number): bigint =>
    BigInt(name === undefined ? 0 : (places.get(name) ?? 0) - from - 1);
  // struct sock_filter: code, jt, jf, k.
  const encoded = instructions.map(
    ([code, k, yes, no], at) =>
      BigInt(code) | (to(yes, at) << 16n) | (to(no, at) << 24n) | (BigInt(k) << 32n),
  );
  const memory = koffi.alloc('uint64_t', encoded.length);
  try {
    koffi.encode(memory, koffi.array('uint64_t', encoded.length), encoded);
    // struct sock_fprog.
    const described = Buffer.alloc(16);
    described.writeUInt16LE(encoded.length, 0);
    described.writeBigUInt64LE(koffi.address(memory), 8);
    libc.setSocketOption(fd, libc.SOL_SOCKET, SO_ATTACH_FILTER, described);
  } finally {
    koffi.free(memory);
  }
}
