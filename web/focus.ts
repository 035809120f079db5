import type { Picture } from './picture.ts';
import type { SceneNode } from './scene.ts';

/** The picture is one stop for the Tab key; from there arrows go on (WAI-ARIA practices, "Roving tabindex"). */
export class Focus {
  readonly #picture: Picture;
  #id: string | undefined;

  constructor(picture: Picture) {
    this.#picture = picture;
  }

  /** After something was drawn anew. */
  keep(nodes: readonly SceneNode[]): void {
    if (this.#element() === undefined)
      this.#id = (nodes.find(({ kind }) => kind === 'place') ?? nodes[0])?.id;
    const element = this.#element();
    if (element !== undefined) element.tabIndex = 0;
  }

  move(id: string): void {
    const element = this.#picture.element(id);
    if (element === undefined) return;
    const before = this.#element();
    if (before !== undefined) before.tabIndex = -1;
    this.#id = id;
    element.tabIndex = 0;
    element.focus({ preventScroll: true });
    element.scrollIntoView({ block: 'nearest', behavior: 'auto' });
  }

  #element(): HTMLElement | undefined {
    return this.#id === undefined ? undefined : this.#picture.element(this.#id);
  }
}
