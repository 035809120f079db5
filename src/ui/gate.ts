import { createHash, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Why a request is not answered. */
export interface Refusal {
  readonly status: 401 | 403 | 405;
  readonly sentence: string;
}

const digest = (secret: string): string => createHash('sha256').update(secret).digest('base64url');
const secret = (): string => randomBytes(32).toString('base64url');

/**
 * Who may see the page. A token opens it once, and is exchanged for a cookie that only this address gets back. Other
 * pages of the same browser are kept out by what the browser says of a request (Fetch Metadata), other names of this
 * address (DNS rebinding) by the Host header. Nothing here changes anything: only GET and HEAD are answered.
 */
export class Gate {
  readonly #cookie: string;
  readonly #hosts: ReadonlySet<string>;
  /** Hashes, so that how long a comparison takes tells nothing. */
  readonly #tokens = new Set<string>();
  readonly #sessions = new Set<string>();

  constructor(port: number) {
    // Cookies are shared by all ports of a host (RFC 6265 §8.5).
    this.#cookie = `gangway-${port}`;
    this.#hosts = new Set([`127.0.0.1:${port}`, `localhost:${port}`]);
  }

  /** A new token, good for one browser. */
  issue(): string {
    const token = secret();
    this.#tokens.add(digest(token));
    return token;
  }

  /** @returns the header that gives the browser its session; undefined for a token that is wrong or used */
  redeem(token: string): string | undefined {
    if (!this.#tokens.delete(digest(token))) return undefined;
    const session = secret();
    this.#sessions.add(digest(session));
    return `${this.#cookie}=${session}; Path=/; HttpOnly; SameSite=Strict`;
  }

  /** Everything but the session: what comes from elsewhere is refused before its token is looked at. */
  refuseForeign(method: string, headers: IncomingHttpHeaders, opensLink: boolean): Refusal | undefined {
    if (method !== 'GET' && method !== 'HEAD') {
      return { status: 405, sentence: 'This page shows and changes nothing: only GET is answered.' };
    }
    if (!this.#hosts.has(headers.host ?? '')) {
      const hosts = [...this.#hosts].join(' or ');
      return { status: 403, sentence: `This page is at ${hosts}, and has no other name.` };
    }
    const { origin } = headers;
    if (origin !== undefined && origin !== `http://${headers.host}`) {
      return { status: 403, sentence: 'Other sites may not ask this page.' };
    }
    const site = headers['sec-fetch-site'];
    const own = site === undefined || site === 'same-origin' || site === 'none';
    // A link in a web console leads here from another site; the token is what counts then.
    if (!own && !(opensLink && headers['sec-fetch-mode'] === 'navigate')) {
      return { status: 403, sentence: 'Other sites may not ask this page.' };
    }
    return undefined;
  }

  refuseStranger(headers: IncomingHttpHeaders): Refusal | undefined {
    const cookies = (headers.cookie ?? '').split(';').map((text) => text.trim());
    const mine = cookies.flatMap((text) =>
      text.startsWith(`${this.#cookie}=`) ? [text.slice(this.#cookie.length + 1)] : [],
    );
    if (mine.some((value) => this.#sessions.has(digest(value)))) return undefined;
    return {
      status: 401,
      sentence:
        'This browser has not opened the link of `gangway ui`, or the program was started anew since. A link opens once: run `gangway ui` for another.',
    };
  }
}
