/** An element with its classes and children; text is text, never markup. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  classes: string,
  ...children: readonly (Node | string | undefined)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (classes !== '') element.className = classes;
  for (const child of children) if (child !== undefined) element.append(child);
  return element;
}

export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | number>>,
): SVGElementTagNameMap[K] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/** An element of index.html. @throws Error naming one that is not there */
export function byId<T extends Element>(id: string, kind: abstract new () => T): T {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  const other = document.querySelector(`#${id}`);
  if (other instanceof kind) return other;
  throw new Error(`index.html has no ${kind.name} #${id}`);
}

/** Writes only what changes: the browser then lays out only that. */
export function setText(element: Element | null | undefined, text: string): void {
  if (element && element.textContent !== text) element.textContent = text;
}
