import { readFileSync, writeFileSync } from 'node:fs';
import { KernelError } from './kernel.ts';

/** `/proc/sys/net` is that of the calling thread's network namespace at the moment of the open. */
function path(name: string): string {
  return `/proc/sys/${name}`;
}

/**
 * @param name with slashes: interface names may have dots (`net/ipv4/conf/br0.7/forwarding`)
 * @returns false when the kernel has no such setting, as without IPv6. @throws KernelError
 */
export function writeSysctl(name: string, value: string): boolean {
  try {
    writeFileSync(path(name), value);
    return true;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'EIO';
    if (code === 'ENOENT') return false;
    throw new KernelError(`write ${path(name)}: ${code}`, code, undefined, { cause });
  }
}

/** Undefined when the kernel has no such setting. */
export function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(path(name), 'utf8').trim();
  } catch {
    return undefined;
  }
}
