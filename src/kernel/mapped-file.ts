import koffi from 'koffi';
import { errnoError } from './libc.ts';

const library = koffi.load('libc.so.6');
const mmap = library.func('void *mmap(void *, size_t, int, int, int, int64_t)');
const munmap = library.func('int munmap(void *, size_t)');

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

/** A file's pages as memory: what is written to them is in the file, whatever becomes of this process (mmap(2)). */
export class MappedFile {
  readonly bytes: Buffer;
  readonly #address: unknown;

  /** @param fd open for reading and writing, `length` bytes long or longer; may be closed afterwards. @throws KernelError */
  constructor(fd: number, length: number) {
    this.#address = mmap(null, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (koffi.address(this.#address) === MAP_FAILED) throw errnoError(koffi.errno(), 'mmap');
    this.bytes = Buffer.from(koffi.view(this.#address, length));
  }

  /** `bytes` must not be touched any more: that would end the process. */
  unmap(): void {
    munmap(this.#address, this.bytes.length);
  }
}
