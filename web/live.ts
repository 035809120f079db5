import type { LiveMessages } from '../src/ui/messages.ts';

type Handlers = { readonly [K in keyof LiveMessages]: (message: LiveMessages[K]) => void };

/** The stream of `gangway ui`; the browser connects again by itself. @param onLost whether the program is gone */
export function listen(handlers: Handlers, onLost: (lost: boolean) => void): void {
  const source = new EventSource('/live');
  const on = <K extends keyof LiveMessages>(name: K): void => {
    source.addEventListener(name, (event) =>
      handlers[name](JSON.parse((event as MessageEvent<string>).data)),
    );
  };
  on('topology');
  on('rates');
  on('drops');
  on('daemon');
  source.addEventListener('open', () => onLost(false));
  source.addEventListener('error', () => {
    onLost(true);
    // Refused for good: the session is gone, and only another link helps.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(handlers, onLost), 5000);
  });
}

/** @throws Error with the daemon's words */
export async function ask<T>(path: string): Promise<T> {
  const response = await fetch(path);
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as T;
  let message = text.trim();
  try {
    message = String((JSON.parse(text) as { message?: unknown }).message ?? text);
  } catch {
    // It was a sentence.
  }
  throw new Error(message === '' ? `the answer was ${response.status}` : message);
}
