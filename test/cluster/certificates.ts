import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Makes two authorities, `ca.pem` and `other.pem`, and what the first signed for 127.0.0.1, as server and as client:
 * `one.pem` with `one.key`. @returns the path of one of the files
 */
export function makeCertificates(directory: string): (name: string) => string {
  const file = (name: string): string => join(directory, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  for (const ca of ['ca', 'other']) {
    openssl(
      ...['req', '-x509', ...key, '-days', '2', '-subj', `/CN=${ca}`],
      ...['-keyout', file(`${ca}.key`), '-out', file(`${ca}.pem`)],
    );
  }
  writeFileSync(file('san'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
  openssl('req', ...key, '-subj', '/CN=gangway', '-keyout', file('one.key'), '-out', file('one.csr'));
  openssl(
    ...[
      'x509',
      '-req',
      '-in',
      file('one.csr'),
      '-CA',
      file('ca.pem'),
      '-CAkey',
      file('ca.key'),
      '-CAcreateserial',
    ],
    ...['-days', '2', '-extfile', file('san'), '-out', file('one.pem')],
  );
  return file;
}
