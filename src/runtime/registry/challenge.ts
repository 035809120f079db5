/** One `WWW-Authenticate` challenge (RFC 9110 §11.6.1; distribution spec, "token authentication"). */
export interface Challenge {
  readonly scheme: 'bearer' | 'basic';
  readonly parameters: Readonly<Record<string, string>>;
}

export function parseChallenge(header: string | null): Challenge | undefined {
  const match = /^\s*(bearer|basic)\s*(.*)$/is.exec(header ?? '');
  const scheme = match?.[1]?.toLowerCase();
  if (scheme !== 'bearer' && scheme !== 'basic') return undefined;
  const parameters: Record<string, string> = {};
  for (const [, key, quoted, bare] of (match?.[2] ?? '').matchAll(/([a-z_]+)=(?:"([^"]*)"|([^",\s]+))/gi)) {
    if (key !== undefined) parameters[key.toLowerCase()] = quoted ?? bare ?? '';
  }
  return { scheme, parameters };
}
