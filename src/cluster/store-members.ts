import { ConsecutiveBreaker, circuitBreaker, handleWhen, type IPolicy } from 'cockatiel';
import { Etcd3, type IOptions, isRecoverableError } from 'etcd3';

/** `--cluster-store etcd://H1:2379,H2:2379[/prefix]` with its options. */
export interface ClusterStoreConfig {
  readonly hosts: readonly string[];
  /** Without slashes at its ends; empty for none. */
  readonly prefix: string;
  readonly tls?: { readonly ca: Buffer; readonly cert?: Buffer; readonly key?: Buffer };
  readonly auth?: { readonly username: string; readonly password: string };
}

/** One call is over after so long, unless told: a change of the cluster fails fast when no member answers. */
export const CALL_MS = 2500;
/** After so many faults in a row a member is passed over for so many milliseconds; etcd3's own numbers. */
const FAULTS = 3;
const PASSED_OVER_MS = 5000;
/** etcd cuts off who asks more often than every 5 s whether it is there (`--grpc-keepalive-min-time`). */
const PING_MS = 6000;
const PING_ANSWER_MS = 2000;
/** A member that gives no answer in so long is left out of a new client. */
const PROBE_MS = 1000;

/**
 * The members of etcd, and clients of them. One that dies refuses connections, and another is asked at once; one that
 * falls silent (no power, no network, a disk that hangs) has to be noticed by the clock.
 */
export class StoreMembers {
  readonly #hosts: readonly string[];
  readonly #options: Omit<IOptions, 'hosts'>;
  /** A call that is refused because every member is passed over does not say what their faults were. */
  #lastFault: string | undefined;

  constructor(config: ClusterStoreConfig) {
    const scheme = config.tls === undefined ? 'http' : 'https';
    this.#hosts = config.hosts.map((host) => `${scheme}://${host}`);
    this.#options = {
      grpcOptions: {
        'grpc.keepalive_time_ms': PING_MS,
        'grpc.keepalive_timeout_ms': PING_ANSWER_MS,
      },
      defaultCallOptions: (context) => (context.isStream ? {} : { deadline: Date.now() + CALL_MS }),
      ...(config.tls && {
        credentials: {
          rootCertificate: config.tls.ca,
          ...(config.tls.cert && { certChain: config.tls.cert }),
          ...(config.tls.key && { privateKey: config.tls.key }),
        },
      }),
      ...(config.auth && {
        auth: { ...config.auth, callOptions: () => ({ deadline: Date.now() + this.#share(CALL_MS) }) },
      }),
    };
  }

  /** Of all members. */
  client(): Etcd3 {
    return this.#clientOf(this.#hosts);
  }

  /** Of those that answer now; of all when none does. */
  async answeringClient(): Promise<Etcd3> {
    if (this.#hosts.length === 1) return this.client();
    const answers = await Promise.all(this.#hosts.map((host) => this.#answers(host)));
    const answering = this.#hosts.filter((_, i) => answers[i]);
    return this.#clientOf(answering.length === 0 ? this.#hosts : answering);
  }

  /** For a call that may take so many milliseconds. etcd3 reads it anew for each member that it asks. */
  deadline(within: number): { readonly deadline: number } {
    const end = Date.now() + within;
    const share = this.#share(within);
    return {
      get deadline() {
        return Math.min(end, Date.now() + share);
      },
    };
  }

  /** What was wrong when `error` ended a call, in words. */
  faultOf(error: unknown): string {
    const passedOver = error instanceof Error && 'isBrokenCircuitError' in error;
    if (!passedOver) this.#noteFault(error);
    return this.#lastFault ?? String(error);
  }

  #clientOf(hosts: readonly string[]): Etcd3 {
    return new Etcd3({
      ...this.#options,
      hosts: [...hosts],
      faultHandling: { host: () => this.#memberPolicy() },
    });
  }

  /** Whatever it says: also that we are refused. */
  async #answers(host: string): Promise<boolean> {
    const client = new Etcd3({ ...this.#options, hosts: [host] });
    try {
      await client.maintenance.status({ deadline: Date.now() + PROBE_MS });
      return true;
    } catch (error) {
      return !(error instanceof Error && isRecoverableError(error));
    } finally {
      client.close();
    }
  }

  /** For one member: there is time to ask another then, up to three in all. */
  #share(within: number): number {
    return within / Math.min(this.#hosts.length, 3);
  }

  /** As etcd3's own, but faults are heard when they happen: the call that had them may still be retrying. */
  #memberPolicy(): IPolicy {
    const policy = circuitBreaker(handleWhen(isRecoverableError), {
      halfOpenAfter: PASSED_OVER_MS,
      breaker: new ConsecutiveBreaker(FAULTS),
    });
    policy.onFailure(({ handled, reason }) => {
      if (handled && 'error' in reason) this.#noteFault(reason.error);
    });
    return policy;
  }

  #noteFault(fault: unknown): void {
    this.#lastFault = fault instanceof Error ? fault.message : String(fault);
  }
}
