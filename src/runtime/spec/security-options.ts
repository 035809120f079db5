import { invalid } from '../../model/errors.ts';
import { parseSeccompProfile, type SeccompProfile } from './seccomp.ts';

export interface SecurityOptions {
  readonly noNewPrivileges: boolean;
  readonly seccomp: 'default' | 'unconfined' | SeccompProfile;
  /** As given; absent: the host's default. */
  readonly apparmor?: string;
  readonly writableCgroups: boolean;
}

/**
 * `--security-opt`; SELinux labels are accepted and have no effect, as with dockerd on a host without SELinux.
 * @throws EngineError INVALID_PARAMETER
 */
export function parseSecurityOptions(options: readonly string[]): SecurityOptions {
  let noNewPrivileges = false;
  let writableCgroups = false;
  let seccomp: SecurityOptions['seccomp'] = 'default';
  let apparmor: string | undefined;
  const flag = (text: string, value: string): boolean => {
    if (/^(1|t|true)$/i.test(value)) return true;
    if (/^(0|f|false)$/i.test(value)) return false;
    throw invalid(`invalid --security-opt 2: "${text}"`);
  };
  for (const text of options) {
    if (text === 'no-new-privileges') {
      noNewPrivileges = true;
      continue;
    }
    if (text === 'disable') continue;
    const split = /^([^=:]+)[=:](.*)$/s.exec(text);
    const [, name = '', value = ''] = split ?? [];
    if (split === null) throw invalid(`invalid --security-opt 1: "${text}"`);
    else if (name === 'no-new-privileges') noNewPrivileges = flag(text, value);
    else if (name === 'writable-cgroups') writableCgroups = flag(text, value);
    else if (name === 'apparmor') apparmor = value;
    else if (name === 'seccomp') {
      seccomp = value === 'builtin' ? 'default' : value === 'unconfined' ? value : parseSeccompProfile(value);
    } else if (name !== 'label') throw invalid(`invalid --security-opt 2: "${text}"`);
  }
  return { noNewPrivileges, seccomp, writableCgroups, ...(apparmor === undefined ? {} : { apparmor }) };
}
