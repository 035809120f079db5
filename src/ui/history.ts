import type { HistoryAnswer } from './messages.ts';

const STEP_SECONDS = 5;
const SLOTS = 3600 / STEP_SECONDS;
const STEP_MS = STEP_SECONDS * 1000;

interface Track {
  readonly received: Float32Array;
  readonly sent: Float32Array;
  /** The last slot written. */
  last: number;
}

/** Bytes a second of each link over the last hour, in rings of 5 s: 6 kB a link. */
export class History {
  readonly #tracks = new Map<string, Track>();
  #now = 0;

  /** @param seconds what the bytes came in, 0 < seconds */
  add(time: number, link: string, receivedBytes: number, sentBytes: number): void {
    const slot = Math.floor(time / STEP_MS);
    this.#now = Math.max(this.#now, slot);
    let track = this.#tracks.get(link);
    if (track === undefined) {
      track = { received: empty(), sent: empty(), last: slot - 1 };
      this.#tracks.set(link, track);
    }
    if (slot > track.last) {
      const skipped = Math.min(slot - track.last - 1, SLOTS);
      for (let n = 1; n <= skipped; n++) write(track, (track.last + n) % SLOTS, Number.NaN, Number.NaN);
      write(track, slot % SLOTS, 0, 0);
      track.last = slot;
    }
    const at = slot % SLOTS;
    track.received[at] = (track.received[at] ?? 0) + receivedBytes / STEP_SECONDS;
    track.sent[at] = (track.sent[at] ?? 0) + sentBytes / STEP_SECONDS;
  }

  /** Links nobody has heard of for an hour. */
  prune(): void {
    for (const [link, { last }] of this.#tracks) if (this.#now - last > SLOTS) this.#tracks.delete(link);
  }

  /** The sum of these links; the slot that is being filled is left out. */
  read(links: readonly string[]): HistoryAnswer {
    const tracks = links.flatMap((link) => this.#tracks.get(link) ?? []);
    const end = this.#now;
    const sum = (of: 'received' | 'sent'): (number | null)[] =>
      Array.from({ length: SLOTS - 1 }, (_, i) => {
        const slot = end - SLOTS + 1 + i;
        let total: number | null = null;
        for (const track of tracks) {
          if (slot > track.last || slot < 0) continue;
          const value = track[of][slot % SLOTS] ?? Number.NaN;
          if (!Number.isNaN(value)) total = (total ?? 0) + Math.round(value);
        }
        return total;
      });
    return { step: STEP_SECONDS, end: end * STEP_MS, received: sum('received'), sent: sum('sent') };
  }
}

const empty = (): Float32Array => new Float32Array(SLOTS).fill(Number.NaN);

function write(track: Track, at: number, received: number, sent: number): void {
  track.received[at] = received;
  track.sent[at] = sent;
}
