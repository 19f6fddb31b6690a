// Who would get into every copy: keys and passwords that are in the image.
import { fine, naming, pathsOf, type Rule, removal, rewrite } from './rule.ts';

const keys: Rule = {
  id: 'authorized-keys',
  title: 'SSH keys of people',
  why: "Whoever has such a key gets into every copy, and a private key is everybody's who has a copy.",
  async look(guest) {
    const found = [
      ...(await guest.inHomes(['.ssh/authorized_keys', '.ssh/authorized_keys2', '.ssh/known_hosts'])),
      ...(await guest.inHomes(['.ssh/id_rsa', '.ssh/id_ecdsa', '.ssh/id_ed25519', '.ssh/id_dsa'])),
    ].filter(({ kind, sizeBytes }) => kind === 'link' || sizeBytes > 0);
    if (found.length === 0) return fine('No home has keys in .ssh.');
    const paths = pathsOf(found);
    const isPrivate = paths.some((path) => path.includes('/.ssh/id_'));
    return {
      verdict: isPrivate ? 'failure' : 'warning',
      seen: `There is ${naming(paths)}.`,
      repair: removal(guest.root, paths),
    };
  },
};

type Account = { name: string; hash: string };

const accountsOf = (shadow: string): Account[] =>
  shadow.split('\n').flatMap((line) => {
    const [name = '', hash] = line.split(':');
    return hash === undefined ? [] : [{ name, hash }];
  });

/** As crypt(5) makes them: with the name of a method, or the 13 and more characters of DES. */
const madeHash = /^([$_].+|[./0-9A-Za-z]{2}([./0-9A-Za-z]{11})+)$/;
/**
 * Without a password and without the hash of one: what is locked with its hash can still be guessed by who has a copy. Makers of
 * images also lock with words that are the hash of nothing, such as `!locked` or `thereisnopasswordanditslocked`.
 */
const isLocked = ({ hash }: Account): boolean => hash !== '' && !madeHash.test(hash.replace(/^[*!]+/, ''));

const passwords: Rule = {
  id: 'passwords',
  title: 'passwords',
  why: 'Every copy would have the same ones.',
  async look(guest) {
    const shadow = (await guest.text('/etc/shadow')) ?? '';
    const open = accountsOf(shadow).filter((account) => !isLocked(account));
    const backups = pathsOf(await guest.named('/etc', /^(shadow|gshadow|passwd|group)-$/));
    if (open.length === 0) {
      const seen = 'No account in /etc/shadow has a password.';
      if (backups.length === 0) return fine(seen);
      const kept = `${seen} There is ${naming(backups)}, which may have older ones.`;
      return { verdict: 'advice', seen: kept, repair: removal(guest.root, backups) };
    }
    const empty = open.filter(({ hash }) => hash === '').map(({ name }) => name);
    const set = open.filter(({ hash }) => hash !== '').map(({ name }) => name);
    return {
      verdict: empty.length > 0 ? 'failure' : 'warning',
      seen: [
        ...(set.length > 0 ? [`/etc/shadow has the password of ${naming(set)}.`] : []),
        ...(empty.length > 0 ? [`${naming(empty)} can log in without one.`] : []),
      ].join(' '),
      repair: {
        says: 'Locks these accounts for passwords; keys still work.',
        async act() {
          const names = new Set(open.map(({ name }) => name));
          const lines = shadow.split('\n').map((line) => {
            const [name = '', , ...rest] = line.split(':');
            return names.has(name) ? [name, '*', ...rest].join(':') : line;
          });
          await rewrite(guest.root, '/etc/shadow', lines.join('\n'));
          for (const path of backups) await guest.root.remove(path);
          return `Locked the password of ${naming([...names])}.`;
        },
      },
    };
  },
};

export const accessRules: readonly Rule[] = [keys, passwords];
