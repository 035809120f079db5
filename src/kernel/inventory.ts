import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { release } from 'node:os';
import { gunzipSync } from 'node:zlib';
import type { InterfaceAddress } from '../model/address.ts';
import type { Link } from './link-message.ts';
import type { Route } from './route-message.ts';
import type { RouteSocket } from './rtnetlink.ts';

/** Everything of the host's network that is not a rule, whoever made it. */
export interface Inventory {
  readonly links: readonly Link[];
  readonly addresses: readonly (InterfaceAddress & { readonly link: number })[];
  readonly routes: readonly Route[];
}

/** Costs three listings. */
export function inventory(routes: RouteSocket): Inventory {
  return { links: routes.links(), addresses: routes.addresses(), routes: routes.routes() };
}

/**
 * Whether this kernel has a feature, by its name in the kernel's configuration and that of its module. Nothing is loaded
 * for the answer. @returns undefined: the kernel does not say
 */
export function kernelHas(option: string, module: string): boolean | undefined {
  if (existsSync(`/sys/module/${module}`)) return true;
  config ??= readConfig();
  if (config !== undefined) return new RegExp(`^CONFIG_${option}=[ym]$`, 'm').test(config);
  const lists = ['modules.builtin', 'modules.dep'].map((name) => `/lib/modules/${release()}/${name}`);
  if (!lists.every((path) => existsSync(path))) return undefined;
  const name = new RegExp(`/${module.replaceAll('_', '[-_]')}\\.ko`);
  return lists.some((path) => name.test(readFileSync(path, 'utf8')));
}

/** It stays what it is while this kernel runs. */
let config: string | undefined;

function readConfig(): string | undefined {
  try {
    return gunzipSync(readFileSync('/proc/config.gz')).toString();
  } catch {
    const path = `/boot/config-${release()}`;
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  }
}

/** Of the file system that holds `path`; bytes. */
export function roomAt(path: string): {
  readonly free: number;
  readonly total: number;
  readonly inodes: number;
} {
  const { bsize, bavail, blocks, ffree, files } = statfsSync(path);
  return { free: bavail * bsize, total: blocks * bsize, inodes: files === 0 ? 1 : ffree / files };
}
