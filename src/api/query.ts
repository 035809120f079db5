/** Go's `httputils.BoolValue`: everything but these is true. */
export function queryFlag(value: string | undefined): boolean {
  return !['', '0', 'no', 'false', 'none'].includes((value ?? '').trim().toLowerCase());
}
