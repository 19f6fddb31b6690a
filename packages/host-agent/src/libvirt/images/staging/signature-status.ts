// What gpgv says of the signatures of a file, in its own lines for programs. Owns who counts as having signed: gpgv itself ends well
// for a key that has expired or that its owner has revoked, and badly for a file that others have signed too, whose keys are not here.
// @see GnuPG, doc/DETAILS
type Judged = 'good' | 'expired' | 'revoked' | 'wrong';

/** Of one signature, where it is in order but for its key. */
const ofKey = { GOODSIG: 'good', EXPKEYSIG: 'expired', EXPSIG: 'expired', REVKEYSIG: 'revoked' } as const;
/** Nothing else of the file can be believed then. */
const spoils = new Set(['BADSIG', 'ERROR', 'NODATA', 'FAILURE', 'UNEXPECTED']);

/** @param status all that gpgv wrote, its lines for programs among it */
export function judgeSignatures(status: string, exitCode: number | null, fingerprint: string): Judged {
  const lines = [...status.matchAll(/^\[GNUPG:\] (.+)$/gm)].map(([, line = '']) => line.split(' '));
  const words = new Set(lines.map(([word = '']) => word));
  if (words.intersection(spoils).size > 0) return 'wrong';
  if (exitCode !== 0 && !words.has('NO_PUBKEY')) return 'wrong';
  let key: Judged = 'wrong';
  const found: Judged[] = [];
  for (const [word = '', ...rest] of lines) {
    if (word === 'NEWSIG') key = 'wrong';
    if (word in ofKey) key = ofKey[word as keyof typeof ofKey];
    // The last word is the key itself, where the one that signed is a part of it.
    if (word === 'VALIDSIG' && rest.at(-1) === fingerprint) found.push(key);
  }
  return (['good', 'revoked', 'expired'] as const).find((judged) => found.includes(judged)) ?? 'wrong';
}
