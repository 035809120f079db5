import type { FastifyInstance } from 'fastify';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { DnsObserver } from '../dns/observer.ts';
import { TrafficMetrics, type TrafficSources } from './traffic-metrics.ts';

/** Seconds; a name from a server nearby takes 1 ms, a start of a container 100. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Requests that a user knows by another word than the route's. */
const OPERATIONS: Readonly<Record<string, string>> = {
  'POST /containers/create': 'container create',
  'POST /containers/:id/start': 'container start',
  'POST /containers/:id/stop': 'container stop',
  'POST /containers/:id/kill': 'container kill',
  'POST /containers/:id/restart': 'container restart',
  'DELETE /containers/:id': 'container remove',
  'POST /networks/create': 'network create',
  'POST /networks/:id/connect': 'network connect',
  'POST /networks/:id/disconnect': 'network disconnect',
  'DELETE /networks/:id': 'network remove',
};

/**
 * Everything that is told at `--metrics-addr`. What the kernel counts is read when it is asked for; what only the daemon
 * knows (names, requests) is counted as it happens.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #questions = { engine: 0, cache: 0, upstream: 0 };
  readonly #upstreams: Histogram<'upstream' | 'outcome'>;
  readonly #requests: Histogram<'method' | 'route' | 'status'>;
  readonly #operations: Histogram<'operation'>;
  readonly #scrape: Gauge;
  #traffic: TrafficMetrics | undefined;

  constructor() {
    const registers = [this.#registry];
    const questions = this.#questions;
    new Counter({
      name: 'gangway_dns_queries_total',
      help: 'Questions of containers to the embedded name server, by who could answer.',
      labelNames: ['answered_by'],
      registers,
      collect() {
        this.reset();
        for (const [by, count] of Object.entries(questions)) this.inc({ answered_by: by }, count);
      },
    });
    this.#upstreams = new Histogram({
      name: 'gangway_dns_upstream_duration_seconds',
      help: 'Questions to name servers outside, until the outcome: answered, failed, silent (gave up), overtaken by another server.',
      labelNames: ['upstream', 'outcome'],
      buckets: BUCKETS,
      registers,
    });
    this.#requests = new Histogram({
      name: 'gangway_api_request_duration_seconds',
      help: 'Requests to the API, until the answer is sent.',
      labelNames: ['method', 'route', 'status'],
      buckets: BUCKETS,
      registers,
    });
    this.#operations = new Histogram({
      name: 'gangway_operation_duration_seconds',
      help: 'Operations on containers and networks that succeeded.',
      labelNames: ['operation'],
      buckets: BUCKETS,
      registers,
    });
    this.#scrape = new Gauge({
      name: 'gangway_scrape_duration_seconds',
      help: 'What reading all this took, the time before.',
      registers,
    });
  }

  /** For the name service. */
  get dns(): DnsObserver {
    const [questions, upstreams] = [this.#questions, this.#upstreams];
    return {
      question: (by) => {
        questions[by]++;
      },
      upstream: (upstream, outcome, seconds) => upstreams.observe({ upstream, outcome }, seconds),
    };
  }

  /** Before the routes are added. */
  watchApi(app: FastifyInstance): void {
    app.addHook('onResponse', (request, reply, done) => {
      const { method } = request;
      const route = request.routeOptions.url ?? 'unknown';
      const seconds = reply.elapsedTime / 1000;
      this.#requests.observe({ method, route, status: String(reply.statusCode) }, seconds);
      const operation = OPERATIONS[`${method} ${route}`];
      if (operation !== undefined && reply.statusCode < 400) this.#operations.observe({ operation }, seconds);
      done();
    });
  }

  /** What the kernel counts, as soon as there is somebody to ask. */
  watchTraffic(sources: TrafficSources): void {
    this.#traffic = new TrafficMetrics(this.#registry, sources);
  }
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** In Prometheus' text format. @throws KernelError */
  async text(): Promise<string> {
    const begun = performance.now();
    await this.#traffic?.read();
    const text = await this.#registry.metrics();
    this.#scrape.set((performance.now() - begun) / 1000);
    return text;
  }
}
