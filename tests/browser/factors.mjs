// What people prove with that it is they: a passkey, and an authenticator app.

import { createHmac } from 'node:crypto';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** Seconds that a code is good. */
const STEP = 30;
/** Seconds before the end of a step in which its code may come too late. */
const LATE = 8;

/** Passkeys of this page's browser, which knows its person unless told otherwise. */
export async function passkeys(page) {
  const debug = await page.context().newCDPSession(page);
  await debug.send('WebAuthn.enable');
  const { authenticatorId } = await debug.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return {
    /** Whether its person is there. */
    async present(isUserVerified) {
      await debug.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified });
    },
    async count() {
      return (await debug.send('WebAuthn.getCredentials', { authenticatorId })).credentials.length;
    },
  };
}

function decode(secret) {
  let bits = '';
  for (const letter of secret.replace(/[\s=]/g, '')) bits += ALPHABET.indexOf(letter).toString(2).padStart(5, '0');
  return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
}

/** RFC 4226 §5.3. */
function hotp(key, counter) {
  const message = Buffer.alloc(8);
  message.writeBigUInt64BE(BigInt(counter));
  const digest = createHmac('sha1', key).update(message).digest();
  const number = digest.readUInt32BE(digest[19] & 15) & 0x7fff_ffff;
  return String(number % 1_000_000).padStart(6, '0');
}

/** An authenticator app with this secret, which has shown the code of the step `last`. */
export class App {
  #key;
  #last = 0;

  constructor(secret, last = 0) {
    this.#key = decode(secret);
    this.#last = last;
  }

  /**
   * A code that was not given before. The gateway takes each step once, and those next to the time as
   * well: three codes are all that one moment has.
   */
  async code(page) {
    for (;;) {
      const now = Date.now() / 1000;
      const step = Math.floor(now / STEP);
      const isLate = STEP - (now % STEP) < LATE;
      const next = Math.max(this.#last + 1, isLate ? step : step - 1);
      if (next <= step + 1) {
        this.#last = next;
        return hotp(this.#key, next);
      }
      await page.waitForTimeout(250);
    }
  }

  /** Six digits that are no code now. */
  wrong() {
    const step = Math.floor(Date.now() / 1000 / STEP);
    const good = [-2, -1, 0, 1, 2].map((by) => hotp(this.#key, step + by));
    return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !good.includes(code));
  }
}
