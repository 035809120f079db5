import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import koffi from 'koffi';
import { KernelError } from './kernel.ts';

/** The system calls Node has no binding for, by libc. Every function is synchronous and acts on the calling thread. */

const library = koffi.load('libc.so.6');
const native = {
  socket: library.func('int socket(int, int, int)'),
  bind: library.func('int bind(int, const void *, uint32_t)'),
  listen: library.func('int listen(int, int)'),
  send: library.func('int64_t send(int, const void *, size_t, int)'),
  recv: library.func('int64_t recv(int, void *, size_t, int)'),
  connect: library.func('int connect(int, const void *, uint32_t)'),
  getsockname: library.func('int getsockname(int, void *, void *)'),
  getsockopt: library.func('int getsockopt(int, int, int, void *, void *)'),
  poll: library.func('int poll(void *, uint64_t, int)'),
  setsockopt: library.func('int setsockopt(int, int, int, const void *, uint32_t)'),
  close: library.func('int close(int)'),
  fcntl: library.func('int fcntl(int, int, ...)'),
  setns: library.func('int setns(int, int)'),
  unshare: library.func('int unshare(int)'),
  mount: library.func('int mount(const char *, const char *, const char *, uint64_t, const char *)'),
  umount2: library.func('int umount2(const char *, int)'),
  sigmask: library.func('int pthread_sigmask(int, const void *, void *)'),
  prlimit: library.func('int prlimit(int, int, const void *, void *)'),
};
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const IPPROTO_IP = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_SCTP = 132;
export const IPPROTO_IPV6 = 41;
export const IPPROTO_ICMPV6 = 58;
export const IPV6_V6ONLY = 26;
export const IP_MTU_DISCOVER = 10;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_LINGER = 13;
export const SO_RCVTIMEO = 20;
export const SO_RCVBUFFORCE = 33;
export const CLONE_NEWNS = 0x0002_0000;
export const CLONE_NEWNET = 0x4000_0000;
export const MNT_DETACH = 2;

const SO_ERROR = 4;
const POLLOUT = 4;
const SOCK_CLOEXEC = 0o2000000;
const SO_ATTACH_FILTER = 26;
const F_SETFD = 2;
const F_SETFL = 4;
const F_SETOWN = 8;
const O_NONBLOCK = 0o4000;
const O_ASYNC = 0o20000;
const MSG_DONTWAIT = 0x40;
const FD_CLOEXEC = 1;
const F_SETPIPE_SZ = 1031;
const RLIMIT_NOFILE = 7;
const F_DUPFD_CLOEXEC = 1030;

/** struct sock_fprog of one instruction, `ret #0`: built once, since a range attaches it a thousand times. */
const FILTER_DROP_ALL = (() => {
  const instruction = koffi.alloc('uint64_t', 1);
  koffi.encode(instruction, 'uint64_t', 0x06n /* BPF_RET | BPF_K, k = 0 */);
  const program = Buffer.alloc(16);
  program.writeUInt16LE(1, 0);
  program.writeBigUInt64LE(koffi.address(instruction), 8);
  return program;
})();

/** The error of a failed call: `what: words of strerror(3)`, with the errno's name. */
export function errnoError(errno: number, what: string): KernelError {
  return new KernelError(`${what}: ${errnoText(errno)}`, errnoName(errno));
}

/** What a bridge without a free port answers; Node has no name for it. */
const EXFULL = 54;

/** `ENOENT` for 2. */
export function errnoName(errno: number): string {
  return errno === EXFULL ? 'EXFULL' : getSystemErrorName(-errno);
}

export function errnoText(errno: number): string {
  return errno === EXFULL ? 'exchange full' : (getSystemErrorMessage(-errno) ?? `errno ${errno}`);
}

function checked(result: number, what: string): number {
  if (result < 0) throw errnoError(koffi.errno(), what);
  return result;
}

/** socket(2) with SOCK_CLOEXEC: no child may inherit it. @throws KernelError */
export function socket(family: number, type: number, protocol: number): number {
  return checked(native.socket(family, type | SOCK_CLOEXEC, protocol), 'socket');
}

/** @throws KernelError, EADDRINUSE among others */
export function bind(fd: number, address: Uint8Array): void {
  checked(native.bind(fd, address, address.length), 'bind');
}

/** Begins to connect and does not wait, the descriptor being O_NONBLOCK. @throws KernelError when it fails at once */
export function connectNow(fd: number, address: Uint8Array): void {
  if (native.connect(fd, address, address.length) === 0) return;
  if (koffi.errno() !== koffi.os.errno.EINPROGRESS) throw errnoError(koffi.errno(), 'connect');
}

/** How a connection that was begun came out. @returns undefined: it is still under way; 0: it stands; else the errno */
export function connectResult(fd: number): number | undefined {
  // struct pollfd.
  const asked = Buffer.alloc(8);
  asked.writeInt32LE(fd, 0);
  asked.writeInt16LE(POLLOUT, 4);
  if (native.poll(asked, 1n, 0) <= 0) return undefined;
  const error = Buffer.alloc(4);
  const length = Buffer.from([4, 0, 0, 0]);
  checked(native.getsockopt(fd, SOL_SOCKET, SO_ERROR, error, length), 'getsockopt SO_ERROR');
  return error.readInt32LE(0);
}

/** The socket's own address, a struct sockaddr. */
export function socketName(fd: number): Buffer {
  const address = Buffer.alloc(28);
  const length = Buffer.from([28, 0, 0, 0]);
  checked(native.getsockname(fd, address, length), 'getsockname');
  return address;
}

/** No call waits for this descriptor any more. */
export function setNonblocking(fd: number): void {
  checked(native.fcntl(fd, F_SETFL, 'int', O_NONBLOCK), 'fcntl F_SETFL');
}

/** Of a socket without connections: where it sends to, and whom it hears. @throws KernelError */
export function connect(fd: number, address: Uint8Array): void {
  checked(native.connect(fd, address, address.length), 'connect');
}

/** @throws KernelError, EADDRINUSE among others */
export function listen(fd: number, backlog: number): void {
  checked(native.listen(fd, backlog), 'listen');
}

export function send(fd: number, data: Uint8Array): void {
  checked(native.send(fd, data, data.length, 0), 'send');
}

/** send(2) on a thread of the pool: for what the kernel is slow to do. Never rejects; the answer tells. */
export function sendAside(fd: number, data: Uint8Array): Promise<void> {
  // The socket's namespace is its own, whatever thread uses it.
  return new Promise((resolve) => native.send.async(fd, data, data.length, 0, () => resolve()));
}

/** recv(2) on a thread of the pool. @returns the number of bytes read, negative on an error */
export function receiveAside(fd: number, into: Uint8Array): Promise<number> {
  return new Promise((resolve) =>
    native.recv.async(fd, into, into.length, 0, (error: unknown, length: number) =>
      resolve(error === null || error === undefined ? length : -1),
    ),
  );
}

/** @returns the number of bytes read into `into`; waits as the socket is set to */
export function receive(fd: number, into: Uint8Array): number {
  for (;;) {
    const length = native.recv(fd, into, into.length, 0);
    // With SO_RCVTIMEO a signal ends the wait even under SA_RESTART (signal(7)).
    if (length >= 0 || koffi.errno() !== koffi.os.errno.EINTR) return checked(length, 'recv');
  }
}

/** What is there already, without waiting. @returns undefined: nothing; `overrun`: the kernel had to drop some. @throws KernelError */
export function receiveNow(fd: number, into: Uint8Array): number | 'overrun' | undefined {
  const length = native.recv(fd, into, into.length, MSG_DONTWAIT);
  if (length >= 0) return length;
  const errno = errnoName(koffi.errno());
  if (errno === 'EAGAIN') return undefined;
  if (errno === 'ENOBUFS') return 'overrun';
  if (errno === 'EINTR') return receiveNow(fd, into);
  throw errnoError(koffi.errno(), 'recv');
}

const SIG_BLOCK = 0;
const SIG_SETMASK = 2;
/** sigset_t of glibc: 1024 bits. */
const EVERY_SIGNAL = Buffer.alloc(128, 0xff);

/** Runs `body` while no signal interrupts a system call of this thread: for code of others that does not expect EINTR. */
export function withoutSignals<T>(body: () => T): T {
  const before = Buffer.alloc(EVERY_SIGNAL.length);
  native.sigmask(SIG_BLOCK, EVERY_SIGNAL, before);
  try {
    return body();
  } finally {
    native.sigmask(SIG_SETMASK, before, null);
  }
}

/** The process gets SIGIO whenever something comes (fcntl(2)). */
export function signalWhenReadable(fd: number): void {
  checked(native.fcntl(fd, F_SETOWN, 'int', process.pid), 'fcntl F_SETOWN');
  checked(native.fcntl(fd, F_SETFL, 'int', O_ASYNC | O_NONBLOCK), 'fcntl F_SETFL');
}

export function setSocketOption(fd: number, level: number, name: number, value: Uint8Array): void {
  checked(native.setsockopt(fd, level, name, value, value.length), 'setsockopt');
}

/** Classic BPF that keeps nothing: the socket holds its port and never answers (socket(7), SO_ATTACH_FILTER). */
export function dropEverything(fd: number): void {
  setSocketOption(fd, SOL_SOCKET, SO_ATTACH_FILTER, FILTER_DROP_ALL);
}

export function close(fd: number): void {
  native.close(fd);
}

export function setCloseOnExec(fd: number): void {
  checked(native.fcntl(fd, F_SETFD, 'int', FD_CLOEXEC), 'fcntl F_SETFD');
}

/**
 * Makes room for descriptors up to `count` at once. Growing the table of a process with threads waits for an RCU grace
 * period at each doubling (fs/file.c, expand_fdtable), 4 to 8 ms in which nothing else of the daemon runs.
 */
export function reserveDescriptors(count: number): void {
  native.close(checked(native.fcntl(0, F_DUPFD_CLOEXEC, 'int', count - 1), 'fcntl F_DUPFD'));
}

/** @param bytes rounded up by the kernel to a power of two pages. @returns what the pipe holds now */
export function setPipeSize(fd: number, bytes: number): number {
  return checked(native.fcntl(fd, F_SETPIPE_SZ, 'int', bytes), 'fcntl F_SETPIPE_SZ');
}

/** Moves only the calling thread (setns(2)). */
export function setns(fd: number, kind: number): void {
  checked(native.setns(fd, kind), 'setns');
}

/** Moves only the calling thread (unshare(2)). */
export function unshare(flags: number): void {
  checked(native.unshare(flags), 'unshare');
}

export function mountRaw(
  source: string,
  target: string,
  type: string | null,
  flags: number,
  data: string | null,
): void {
  checked(native.mount(source, target, type, BigInt(flags), data), `mount ${source} on ${target}`);
}

export function umount2(target: string, flags: number): void {
  checked(native.umount2(target, flags), `umount ${target}`);
}

/** Raises the soft limit of open files to the hard one. @returns the limit now */
export function raiseOpenFileLimit(): number {
  const limit = new BigUint64Array(2);
  checked(native.prlimit(0, RLIMIT_NOFILE, null, limit), 'prlimit');
  const hard = limit[1] ?? 0n;
  if (limit[0] !== hard) {
    limit[0] = hard;
    checked(native.prlimit(0, RLIMIT_NOFILE, limit, null), 'prlimit');
  }
  return Number(hard);
}
