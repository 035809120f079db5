import type { FlowEvent } from '../model/flow.ts';

/** An event, and its line of JSON: made once, however many watch. */
export class ToldEvent {
  readonly event: FlowEvent;
  #line: string | undefined;

  constructor(event: FlowEvent) {
    this.event = event;
  }

  /** With its line feed. */
  get line(): string {
    this.#line ??= `${JSON.stringify(this.event)}\n`;
    return this.#line;
  }
}
