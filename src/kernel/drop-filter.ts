import koffi from 'koffi';
import * as libc from './libc.ts';

const SO_ATTACH_BPF = 50;
const BPF_PROG_LOAD = 5;
const BPF_PROG_TYPE_SOCKET_FILTER = 1;
const ATTRIBUTES_BYTES = 48;
/** asm/unistd.h: bpf(2) has no function in libc. */
const SYS_BPF: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };
/** `r0 = 0; exit`: keep no byte of any packet. */
const PROGRAM = Buffer.from('b700000000000000' + '9500000000000000', 'hex');

const syscall = koffi.load('libc.so.6').func('int64_t syscall(int64_t, int, void *, uint32_t)');

/**
 * Makes sockets that never answer (socket(7)). One eBPF program is shared by all: a classic filter is compiled anew for
 * every socket, which is two thirds of what holding a port costs.
 */
export class DropFilter {
  readonly #program = loadProgram();

  /** @throws KernelError */
  attach(fd: number): void {
    if (this.#program === undefined) {
      libc.dropEverything(fd);
      return;
    }
    const value = Buffer.alloc(4);
    value.writeInt32LE(this.#program);
    libc.setSocketOption(fd, libc.SOL_SOCKET, SO_ATTACH_BPF, value);
  }

  close(): void {
    if (this.#program !== undefined) libc.close(this.#program);
  }
}

/** Undefined where the kernel does not let us: the classic filter serves as well. */
function loadProgram(): number | undefined {
  const number = SYS_BPF[process.arch];
  if (number === undefined) return undefined;
  const pointer = (bytes: Buffer): bigint => {
    const memory = koffi.alloc('uint8_t', bytes.length);
    koffi.encode(memory, 'uint8_t', [...bytes], bytes.length);
    return BigInt(koffi.address(memory));
  };
  const attributes = Buffer.alloc(ATTRIBUTES_BYTES);
  attributes.writeUInt32LE(BPF_PROG_TYPE_SOCKET_FILTER, 0);
  attributes.writeUInt32LE(PROGRAM.length / 8, 4);
  attributes.writeBigUInt64LE(pointer(PROGRAM), 8);
  attributes.writeBigUInt64LE(pointer(Buffer.from('Apache-2.0\0')), 16);
  const fd = Number(syscall(number, BPF_PROG_LOAD, attributes, attributes.length));
  if (fd < 0) return undefined;
  // bpf(2) sets close-on-exec by itself.
  return fd;
}
