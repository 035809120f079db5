import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { invalid } from '../model/errors.ts';
import type { RegistryAuth } from '../runtime/images.ts';

const auth = z.object({
  username: z.string().optional(),
  password: z.string().optional(),
  auth: z.string().optional(),
  identitytoken: z.string().optional(),
  registrytoken: z.string().optional(),
  serveraddress: z.string().optional(),
});

/** `X-Registry-Auth`: base64url JSON. Docker ignores a header it cannot read, and so do we. */
export function registryAuth(request: FastifyRequest): RegistryAuth | undefined {
  const header = request.headers['x-registry-auth'];
  if (typeof header !== 'string' || header === '') return undefined;
  try {
    return toAuth(auth.parse(JSON.parse(Buffer.from(header, 'base64').toString('utf8'))));
  } catch {
    return undefined;
  }
}

function toAuth(given: z.infer<typeof auth>): RegistryAuth {
  const [username, ...password] = given.auth
    ? Buffer.from(given.auth, 'base64').toString('utf8').split(':')
    : [];
  const entries = Object.entries({
    username,
    ...(password.length > 0 && { password: password.join(':') }),
    ...given,
  });
  return Object.fromEntries(
    entries.filter(([key, value]) => key !== 'auth' && value !== undefined && value !== ''),
  );
}

/** The body of `POST /auth`. @throws EngineError INVALID_PARAMETER */
export function authBody(body: unknown): RegistryAuth {
  const given = auth.safeParse(body);
  if (!given.success) throw invalid(z.prettifyError(given.error));
  return toAuth(given.data);
}
