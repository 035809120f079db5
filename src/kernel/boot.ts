import { readFileSync } from 'node:fs';

/** Another one after each boot of the machine: 36 characters (random(4)). */
export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
