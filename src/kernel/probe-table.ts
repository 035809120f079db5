import { familyOf } from '../model/address.ts';
import type { Port } from '../model/port.ts';
import type { ProbeTarget } from '../model/probe.ts';
import { KernelError } from './kernel.ts';
import { Nftables } from './nftables.ts';
import { RuleListings } from './rule-listings.ts';

/** Of the tables that are there while a probe is under way. */
export const PROBE_TABLE = 'gangway_probe';

const HOOKS = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const;
/** Before everything that could decide (`raw` is -300), and after everything (`srcnat` is 100). */
const FIRST = -350;
const LAST = 1000;

/** What marks the packets of a probe: the one that goes, and the first that comes back. */
export interface ProbeMark {
  readonly target: ProbeTarget;
  /** The sender's port, of an echo its identifier. */
  readonly id: number;
  /** Here it may come with another destination than it was sent to: the host has translated it. */
  readonly translated: boolean;
}

/**
 * Tables of the prober's own in one namespace. Their first chains mark the packets of one probe to be traced, the last
 * ones decide nothing: that a packet is traced there says that it came so far. They are owned by this object's socket
 * (nft(8), `flags owner`): the kernel takes them away when the daemon dies.
 */
export class ProbeTable {
  readonly #nft = new Nftables();
  /** To tell the rules that a trace speaks of. */
  readonly rules = new RuleListings(this.#nft);
  readonly #owned: boolean;

  /** In the namespace the thread is in now. @throws KernelError */
  constructor(mark: ProbeMark) {
    try {
      this.#owned = this.#make(mark);
    } catch (error) {
      this.#nft.close();
      throw error;
    }
  }

  /** The tables are gone when this resolves. */
  async close(): Promise<void> {
    try {
      if (!this.#owned) this.#nft.run(removal());
    } catch {
      // Somebody flushed them.
    }
    await this.#nft.closeAside();
  }

  /** @returns whether the tables are this socket's */
  #make(mark: ProbeMark): boolean {
    try {
      this.#nft.run(tables(mark, 'flags owner;'));
      return true;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Kernels before 5.12 know no owner. What one left that was killed is gone with this.
      this.#nft.run(`${removal()}\n${tables(mark, '')}`);
      return false;
    }
  }
}

const removal = (): string =>
  ['inet', 'bridge']
    .map((family) => `add table ${family} ${PROBE_TABLE}; delete table ${family} ${PROBE_TABLE}`)
    .join('\n');

function tables(mark: ProbeMark, flags: string): string {
  return [table('inet', mark, flags), table('bridge', mark, flags)].join('\n');
}

function table(family: 'inet' | 'bridge', mark: ProbeMark, flags: string): string {
  const chain = (hook: string, priority: number, rules: readonly string[]): string =>
    `chain ${chainName(hook, priority)} { type filter hook ${hook} priority ${priority}; policy accept; ${rules.join('; ')}${rules.length > 0 ? ';' : ''} }`;
  const marks = matches(mark).map((match) => `${match} meta nftrace set 1`);
  return [
    `table ${family} ${PROBE_TABLE} {`,
    flags,
    chain('prerouting', FIRST, marks),
    chain('output', FIRST, marks),
    ...HOOKS.filter((hook) => hook !== 'prerouting').map((hook) => chain(hook, LAST, [])),
    '}',
  ].join('\n');
}

const chainName = (hook: string, priority: number): string => `${priority < 0 ? 'first' : 'last'}_${hook}`;

/** The packet that goes and the one that answers it; not those that follow in the same connection. */
function matches({ target, id, translated }: ProbeMark): readonly string[] {
  const ip = familyOf(target.address) === 'ipv4' ? 'ip' : 'ip6';
  // The answer has the addresses of before the translation back; its port is enough.
  const version = `meta protocol ${ip}`;
  const to = translated ? version : `${ip} daddr ${target.address}`;
  const port = (protocol: 'tcp' | 'udp', asked: Port): string =>
    translated ? '' : `${protocol} dport ${asked}`;
  switch (target.protocol) {
    case 'tcp':
      return [
        `${to} tcp sport ${id} ${port('tcp', target.port)} tcp flags & (syn | ack) == syn`,
        `${version} tcp dport ${id} tcp flags & (syn | rst) != 0`,
      ];
    case 'udp':
      return [`${to} udp sport ${id} ${port('udp', target.port)}`, `${version} udp dport ${id}`];
    case 'icmp': {
      const icmp = ip === 'ip' ? 'icmp' : 'icmpv6';
      return [
        `${to} ${icmp} type echo-request ${icmp} id ${id}`,
        `${version} ${icmp} type echo-reply ${icmp} id ${id}`,
      ];
    }
  }
}
