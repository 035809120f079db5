import { readFileSync } from 'node:fs';

export interface InterfaceCounters {
  readonly rx_bytes: number;
  readonly rx_packets: number;
  readonly rx_errors: number;
  readonly rx_dropped: number;
  readonly tx_bytes: number;
  readonly tx_packets: number;
  readonly tx_errors: number;
  readonly tx_dropped: number;
}

/** Counters of the interfaces a process sees, loopback left out (proc_pid_net(5), dev). @throws when it is gone */
export function interfaceCounters(pid: number): Readonly<Record<string, InterfaceCounters>> {
  return parseInterfaceCounters(readFileSync(`/proc/${pid}/net/dev`, 'utf8'));
}

export function parseInterfaceCounters(text: string): Readonly<Record<string, InterfaceCounters>> {
  const counters: Record<string, InterfaceCounters> = {};
  for (const [, name = '', figures = ''] of text.matchAll(/^\s*([^:\s]+):\s*(.*)$/gm)) {
    if (name === 'lo') continue;
    const at = figures.trim().split(/\s+/).map(Number);
    const [rx_bytes = 0, rx_packets = 0, rx_errors = 0, rx_dropped = 0] = at;
    const [tx_bytes = 0, tx_packets = 0, tx_errors = 0, tx_dropped = 0] = at.slice(8);
    counters[name] = {
      rx_bytes,
      rx_packets,
      rx_errors,
      rx_dropped,
      tx_bytes,
      tx_packets,
      tx_errors,
      tx_dropped,
    };
  }
  return counters;
}
