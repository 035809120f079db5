import type { FlowEnd } from '../src/model/flow.ts';
import type { DropEvent } from '../src/ui/messages.ts';
import { h, setText } from './elements.ts';
import { clock, plural } from './words.ts';

const KEPT = 40;
/** A drop marks its containers for so long. */
const MARKED_MS = 8000;

interface Line {
  readonly key: string;
  readonly event: DropEvent;
  count: number;
  at: number;
}

/** Drops as they come, each with its cause; the same once more is counted, not told again. */
export class Drops {
  readonly #list: HTMLElement;
  readonly #title: HTMLElement;
  readonly #ask: (from: string, to: string) => void;
  #lines: Line[] = [];

  constructor(list: HTMLElement, title: HTMLElement, ask: (from: string, to: string) => void) {
    this.#list = list;
    this.#title = title;
    this.#ask = ask;
  }

  add(drops: readonly DropEvent[]): void {
    if (drops.length === 0) return;
    for (const event of drops) {
      const key = [
        event.protocol,
        named(event.from),
        named(event.to),
        event.to.port,
        event.cause,
        event.rule,
      ].join(' ');
      const before = this.#lines.find((line) => line.key === key);
      if (before !== undefined) this.#lines.splice(this.#lines.indexOf(before), 1);
      this.#lines.unshift({ key, event, count: (before?.count ?? 0) + 1, at: Date.now() });
    }
    this.#lines = this.#lines.slice(0, KEPT);
    this.#draw();
  }

  /** @param watched whether the daemon tells of drops at all */
  setWatched(watched: boolean): void {
    this.#list.dataset.watched = String(watched);
    this.#draw();
  }

  /** Names at both ends of what was just dropped. */
  marked(now: number): ReadonlySet<string> {
    const fresh = this.#lines.filter(({ at }) => now - at < MARKED_MS);
    return new Set(
      fresh.flatMap(({ event }) => [event.from.name ?? '', event.to.name ?? '']).filter(Boolean),
    );
  }

  #draw(): void {
    const total = this.#lines.reduce((sum, { count }) => sum + count, 0);
    setText(this.#title, total === 0 ? '' : String(total));
    if (this.#lines.length === 0) {
      const words =
        this.#list.dataset.watched === 'true'
          ? 'Nothing was dropped since the page was opened.'
          : 'The daemon does not tell of single drops; counters show them as ✗ at a wire.';
      this.#list.replaceChildren(h('li', 'quiet', words));
      return;
    }
    this.#list.replaceChildren(
      ...this.#lines.map(({ event, count }) => {
        const to = `${named(event.to)}${event.to.port === undefined ? '' : `:${event.to.port}`}`;
        const question = h('button', 'drop-line', `${named(event.from)} → ${to}/${event.protocol}`);
        question.type = 'button';
        question.title = 'Ask why';
        const target = event.to.port === undefined ? named(event.to) : `${to}/${event.protocol}`;
        question.addEventListener('click', () => this.#ask(named(event.from), target));
        const times = count > 1 ? `, ${plural(count, 'time')}` : '';
        return h(
          'li',
          '',
          question,
          h('div', 'why', event.cause, event.rule === '' ? '' : ` (${event.rule})`),
          h('div', 'quiet', `${clock(event.time)}${times}`),
        );
      }),
    );
  }
}

const named = ({ name, address }: FlowEnd): string => name || address;
