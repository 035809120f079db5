import type { Logger } from 'pino';
import type { KernelEvent } from '../../kernel/change-monitor.ts';
import type { ForeignChain } from '../../kernel/foreign-firewall.ts';
import type { Kernel } from '../../kernel/kernel.ts';

/** What the healer looks after. */
export interface Patient {
  /** Links of ours by name: the bridges, and the ports of endpoints. */
  wantedLink(name: string): 'bridge' | 'port' | undefined;
  wantsAddress(address: string): boolean;
  /** Compares everything with the kernel and puts it right. */
  heal(): void;
  /** Networks that have the uplink's MTU get its new one. */
  followUplink(): void;
}

/** Long enough for a program that changes things in steps, far below the second in which things are right again. */
const FIRST_DELAY_MS = 50;
/** Where somebody undoes it again and again, the engine does not fight at full speed. */
const LONGEST_DELAY_MS = 1000;
const CALM_MS = 10_000;
/** Healings within that time that are nobody's insistence. */
const PATIENCE = 5;

/** Puts right what others do to the engine's network, soon after the kernel tells of it, and names who stands in the way. */
export class Healer {
  readonly #kernel: Kernel;
  readonly #log: Logger;
  readonly #patient: Patient;
  readonly #stop: () => void;
  readonly #suspects = new Set<string>();
  /** MTU of links that are not ours, by index. */
  readonly #mtus = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;
  #certain = false;
  #uplink = false;
  #firewall = false;
  #healings: number[] = [];
  #chains: readonly ForeignChain[] = [];

  constructor(kernel: Kernel, log: Logger, patient: Patient) {
    this.#kernel = kernel;
    this.#log = log;
    this.#patient = patient;
    this.#stop = kernel.watch((event) => this.#hear(event));
    this.#lookAtFirewall();
  }

  /** What of others stands in the way now, for `docker info`. */
  warnings(): readonly string[] {
    return this.#chains.map(
      ({ table, chain, why }) =>
        `WARNING: chain ${chain} of table ${table} stops forwarded packets (${why}): published ports and the way out of containers need rules there that let the bridges through`,
    );
  }

  close(): void {
    this.#stop();
    clearTimeout(this.#timer);
  }

  #hear(event: KernelEvent): void {
    switch (event.kind) {
      case 'link':
        if (this.#patient.wantedLink(event.link.name) !== undefined) this.#suspects.add(event.link.name);
        else if (this.#mtus.get(event.link.index) === event.link.mtu) return;
        else {
          this.#mtus.set(event.link.index, event.link.mtu);
          this.#uplink = true;
        }
        break;
      case 'link-gone':
      case 'port-gone':
        if (this.#patient.wantedLink(event.name) === undefined) return;
        this.#suspects.add(event.name);
        break;
      case 'address-gone':
        if (!this.#patient.wantsAddress(event.address.address)) return;
        this.#certain = true;
        break;
      case 'default-route':
        this.#uplink = true;
        break;
      case 'foreign-firewall':
        this.#firewall = true;
        break;
      case 'table':
      case 'overrun':
        this.#certain = true;
        this.#firewall = true;
    }
    this.#timer ??= setTimeout(() => this.#act(), this.#delay()).unref();
  }

  #delay(): number {
    const since = Date.now() - CALM_MS;
    this.#healings = this.#healings.filter((time) => time > since);
    const beyond = Math.max(0, this.#healings.length - PATIENCE);
    return Math.min(FIRST_DELAY_MS * 2 ** beyond, LONGEST_DELAY_MS);
  }

  #act(): void {
    this.#timer = undefined;
    const ill = this.#certain || [...this.#suspects].some((name) => this.#isIll(name));
    const [uplink, firewall] = [this.#uplink, this.#firewall];
    this.#suspects.clear();
    this.#certain = this.#uplink = this.#firewall = false;
    this.#attempt('the network cannot be put right', () => {
      if (ill) {
        this.#healings.push(Date.now());
        this.#patient.heal();
      }
      if (uplink) this.#patient.followUplink();
      if (firewall) this.#lookAtFirewall();
    });
  }

  /** Events tell of moments that may be over, as when a link is being made. */
  #isIll(name: string): boolean {
    const wanted = this.#patient.wantedLink(name);
    if (wanted === undefined) return false;
    const link = this.#kernel.link(name);
    return link === undefined || !link.up || (wanted === 'port' && link.master === 0);
  }

  #lookAtFirewall(): void {
    this.#attempt('the firewalls of others cannot be read', () => {
      const chains = this.#kernel.foreignChains();
      const known = new Set(this.#chains.map((each) => JSON.stringify(each)));
      for (const each of chains) {
        if (!known.has(JSON.stringify(each)))
          this.#log.warn({ firewall: each }, 'a firewall that is not ours stops forwarded packets');
      }
      this.#chains = chains;
    });
  }

  #attempt(words: string, body: () => void): void {
    try {
      body();
    } catch (error) {
      this.#log.error({ err: error }, words);
    }
  }
}
