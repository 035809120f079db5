/** Who could answer a question: a name of the engine's, the cache, or servers outside. */
export type AnsweredBy = 'engine' | 'cache' | 'upstream';
/** `overtaken`: another server was faster, and this one is not waited for any more. */
export type UpstreamOutcome = 'answered' | 'failed' | 'silent' | 'overtaken';

/** Is told what the name service does, on its hot path: it has to be quick. */
export interface DnsObserver {
  question(by: AnsweredBy): void;
  /** @param seconds until the outcome */
  upstream(server: string, outcome: UpstreamOutcome, seconds: number): void;
}

export const NOBODY: DnsObserver = { question() {}, upstream() {} };
