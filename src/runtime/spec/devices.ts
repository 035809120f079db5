import { readdirSync, type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceMapping } from '@docker/node-sdk';
import { invalid } from '../../model/errors.ts';
import type { OciDevice, OciDeviceRule } from './oci.ts';

/** glibc's gnu_dev_major and gnu_dev_minor. */
export function deviceNumbers(rdev: number): { readonly major: number; readonly minor: number } {
  const value = BigInt(rdev);
  return {
    major: Number(((value >> 8n) & 0xfffn) | ((value >> 32n) & 0xffff_f000n)),
    minor: Number((value & 0xffn) | ((value >> 12n) & 0xffff_ff00n)),
  };
}

/** `--device` as devices and the rules that allow them; a directory stands for all devices in it. @throws EngineError */
export function resolveDevices(mappings: readonly DeviceMapping[]): {
  readonly devices: readonly OciDevice[];
  readonly rules: readonly OciDeviceRule[];
} {
  const devices: OciDevice[] = [];
  const rules: OciDeviceRule[] = [];
  for (const mapping of mappings) {
    const host = mapping.PathOnHost ?? '';
    const access = mapping.CgroupPermissions || 'rwm';
    const found = devicesAt(host, mapping.PathInContainer || host);
    for (const device of found) {
      devices.push(device);
      if (device.type !== 'p') {
        const type = device.type === 'b' ? 'b' : 'c';
        rules.push({ allow: true, type, major: device.major, minor: device.minor, access });
      }
    }
  }
  return { devices, rules };
}

function devicesAt(host: string, inside: string): readonly OciDevice[] {
  const failure = `error gathering device information while adding custom device "${host}"`;
  const stats = statSync(host, { throwIfNoEntry: false });
  if (stats === undefined) throw invalid(`${failure}: no such file or directory`);
  if (stats.isDirectory()) {
    const found = walk(host).map((device) => ({
      ...device,
      path: join(inside, device.path.slice(host.length)),
    }));
    if (found.length > 0) return found;
  }
  const device = deviceOf(inside, stats);
  if (device === undefined) throw invalid(`${failure}: not a device node`);
  return [device];
}

/** Every device of the host, for `--privileged`; what the container makes itself is left out. */
export function hostDevices(): readonly OciDevice[] {
  return walk('/dev');
}

const OWN = new Set(['pts', 'shm', 'fd', 'mqueue', 'console', '.lxc', '.lxd-mounts', '.udev']);

function walk(directory: string): OciDevice[] {
  const found: OciDevice[] = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory() && !OWN.has(entry.name)) found.push(...walk(path));
    else if ((entry.isCharacterDevice() || entry.isBlockDevice()) && !OWN.has(entry.name)) {
      const stats = statSync(path, { throwIfNoEntry: false });
      const device = stats && deviceOf(path, stats);
      if (device) found.push(device);
    }
  }
  return found;
}

function deviceOf(path: string, stats: Stats): OciDevice | undefined {
  if (!stats.isCharacterDevice() && !stats.isBlockDevice()) return undefined;
  return {
    path,
    type: stats.isBlockDevice() ? 'b' : 'c',
    ...deviceNumbers(stats.rdev),
    fileMode: stats.mode & 0o777,
    uid: stats.uid,
    gid: stats.gid,
  };
}
