import { invalid } from '../../model/errors.ts';
import type { OciUser } from './oci.ts';

/** Where `/etc/passwd` and `/etc/group` are read from: a `RootfsReader`, or anything else that has files. */
export interface UserFiles {
  read(path: string): string | undefined;
}

const MAX_ID = 2 ** 31 - 1;

interface Passwd {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}
interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/**
 * `user`, `uid`, `user:group`… to numbers, with the user's groups (moby/sys user.GetExecUser).
 * @param groupAdd `--group-add`, names or numbers
 * @throws EngineError INVALID_PARAMETER in dockerd's words
 */
export function lookupUser(files: UserFiles, text: string, groupAdd: readonly string[] = []): OciUser {
  const [userText = '', groupText = ''] = text.split(':');
  const groups = lines(files.read('/etc/group')).map(parseGroup);
  const user = findUser(lines(files.read('/etc/passwd')).map(parsePasswd), userText);
  const uid = user?.uid ?? Number(userText);
  let gid = user?.gid ?? 0;
  let additional: number[] = [];
  if (groupText !== '')
    gid = findGroup(
      groups,
      groupText,
      `unable to find group ${groupText}: no matching entries in group file`,
    );
  else if (user !== undefined)
    additional = groups.filter((g) => g.members.includes(user.name)).map((g) => g.gid);
  const added = groupAdd.map((name) =>
    findGroup(groups, name, `unable to find group ${name}: no matching entries in group file`),
  );
  if (uid > MAX_ID || gid > MAX_ID) throw invalid(`uids and gids must be in range 0-${MAX_ID}`);
  return { uid, gid, additionalGids: [...new Set([gid, ...additional, ...added])] };
}

function findUser(entries: readonly Passwd[], text: string): Passwd | undefined {
  const numeric = /^\d+$/.test(text);
  const found = entries.find((entry) =>
    text === '' ? entry.uid === 0 : entry.name === text || (numeric && entry.uid === Number(text)),
  );
  if (found === undefined && text !== '' && !numeric) {
    throw invalid(`unable to find user ${text}: no matching entries in passwd file`);
  }
  return found;
}

function findGroup(groups: readonly Group[], text: string, failure: string): number {
  const found = groups.find((group) => group.name === text);
  if (found !== undefined) return found.gid;
  if (/^\d+$/.test(text)) return Number(text);
  throw invalid(failure);
}

const lines = (text: string | undefined): readonly string[] =>
  (text ?? '').split('\n').filter((line) => line.includes(':') && !line.startsWith('#'));

function parsePasswd(line: string): Passwd {
  const [name = '', , uid = '', gid = ''] = line.split(':');
  return { name, uid: Number(uid), gid: Number(gid) };
}

function parseGroup(line: string): Group {
  const [name = '', , gid = '', members = ''] = line.trim().split(':');
  return { name, gid: Number(gid), members: members.split(',') };
}
