import { byId, setText } from './elements.ts';
import type { LayoutOptions } from './layout.ts';

type Detail = LayoutOptions['detail'];

const NEXT: Readonly<Record<Detail, Detail>> = { auto: 'large', large: 'small', small: 'auto' };
const WORDS: Readonly<Record<Detail, string>> = { auto: 'Auto', large: 'Large', small: 'Small' };

/** How much is shown, and in which colours; kept in the browser. */
export class Tools {
  readonly #changed: () => void;
  #detail: Detail;

  constructor(changed: () => void) {
    this.#changed = changed;
    const kept = localStorage.getItem('detail');
    this.#detail = kept === 'large' || kept === 'small' ? kept : 'auto';
    byId('density', HTMLElement).addEventListener('click', () => this.nextDetail());
    byId('theme', HTMLElement).addEventListener('click', () => this.nextTheme());
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed);
    this.#show();
  }

  get detail(): Detail {
    return this.#detail;
  }

  nextDetail(): void {
    this.#detail = NEXT[this.#detail];
    localStorage.setItem('detail', this.#detail);
    this.#show();
    this.#changed();
  }

  nextTheme(): void {
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    const now = document.documentElement.dataset.theme ?? (dark ? 'dark' : 'light');
    localStorage.setItem('theme', now === 'dark' ? 'light' : 'dark');
    this.#show();
    this.#changed();
  }

  #show(): void {
    const theme = localStorage.getItem('theme');
    if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
    setText(byId('density', HTMLElement), WORDS[this.#detail]);
  }
}
