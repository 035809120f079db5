import { showAnswer } from './answer.ts';
import { byId, h } from './elements.ts';
import { endName } from './ends.ts';
import { ask } from './live.ts';
import type { WhyAnswer } from './ways.ts';

export interface Answered {
  readonly from: string;
  readonly to: string;
  readonly answer: WhyAnswer;
}

/** The form, and what was answered last. */
export class Question {
  readonly #from = byId('from', HTMLInputElement);
  readonly #to = byId('to', HTMLInputElement);
  readonly #box = byId('answer', HTMLElement);
  readonly #changed: () => void;
  /** Whether the picture has too much in it for the way between these to be seen. */
  readonly #hides: (names: ReadonlySet<string>) => boolean;
  #turn = 0;
  answered: Answered | undefined;
  /** The ends of an answer, while nothing else is drawn. */
  only: ReadonlySet<string> | undefined;

  constructor(changed: () => void, hides: (names: ReadonlySet<string>) => boolean) {
    this.#changed = changed;
    this.#hides = hides;
    byId('swap', HTMLElement).addEventListener('click', () => {
      [this.#from.value, this.#to.value] = [this.#to.value, this.#from.value];
      if (this.#to.value !== '') void this.#ask();
    });
    byId('ask', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#ask();
    });
  }

  /** What may be written into it. */
  offer(ends: readonly string[]): void {
    const options = ends.map((end) => Object.assign(h('option', ''), { value: end }));
    byId('ends', HTMLElement).replaceChildren(...options);
  }

  ask(from: string, to: string): void {
    this.#from.value = from;
    this.#to.value = to;
    void this.#ask();
  }

  /** One end is chosen. */
  begin(end: string): void {
    this.#forget();
    this.#from.value = end;
    this.#to.value = '';
    this.#say('quiet', `Choose another to ask whether ${end} reaches it.`);
  }

  clear(): void {
    this.#forget();
    this.#from.value = '';
    this.#to.value = '';
    this.#box.replaceChildren();
  }

  #forget(): void {
    this.#turn++;
    this.answered = undefined;
    this.only = undefined;
  }

  #say(classes: string, words: string): void {
    this.#box.replaceChildren(h('p', classes, words));
  }

  async #ask(): Promise<void> {
    const [from, to] = [this.#from.value.trim(), this.#to.value.trim()];
    if (from === '' || to === '') {
      this.#say('quiet', 'Both ends are needed: a container, outside, host, internet or an address.');
      return;
    }
    this.#forget();
    const turn = this.#turn;
    this.#say('quiet', 'Asking…');
    try {
      const answer = await ask<WhyAnswer>(`/gangway/why?${new URLSearchParams({ from, to })}`);
      // Another question was asked meanwhile.
      if (turn !== this.#turn) return;
      this.answered = { from, to, answer };
      const ends = new Set([endName(from), endName(to)]);
      showAnswer(this.#box, answer, from, to);
      if (this.#hides(ends)) {
        this.only = ends;
        this.#box.append(this.#showAll());
      }
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#say('verdict unknown', error instanceof Error ? error.message : String(error));
    }
    this.#changed();
  }

  #showAll(): HTMLElement {
    const all = h('button', 'plain', 'The picture shows only these two. Show all');
    all.type = 'button';
    all.addEventListener('click', () => {
      this.only = undefined;
      all.remove();
      this.#changed();
    });
    return all;
  }
}
