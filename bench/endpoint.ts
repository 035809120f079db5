import { mkdtempSync, rmSync } from 'node:fs';
import { must } from '../test/e2e/process.ts';

interface Timing {
  readonly attach: number;
  readonly close: number;
  /** An endpoint with a port, on a host with hardly any and with 10,000 published ports. */
  readonly few: number;
  readonly crowded: number;
  readonly range: number;
  readonly rangeClosed: number;
}

/** Our own network work, without containerd and runc: namespace, veth, address, route, rules, the promise on disk. */
export async function endpointCost(): Promise<string> {
  const folder = mkdtempSync('/tmp/gangway-bench-');
  const program = new URL('endpoint-timing.ts', import.meta.url).pathname;
  const script = 'mount --make-rprivate /; ip link set lo up; exec "$0" "$1" "$2"';
  try {
    const text = await must(['unshare', '-n', '-m', 'sh', '-c', script, process.execPath, program, folder]);
    const { attach, close, few, crowded, range, rangeClosed } = JSON.parse(text) as Timing;
    const ms = (value: number): string => `${value.toFixed(1)} ms`;
    return (
      `an endpoint with one published port: made in ${ms(attach)}, removed in ${ms(close)};\n` +
      `one more on a host with 10,000 published ports: ${ms(crowded)}, with the first ones ${ms(few)};\n` +
      `with a range of 1,000 ports: made in ${ms(range)}, removed in ${ms(rangeClosed)}`
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
