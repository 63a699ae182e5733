// The page of a challenge.

import { turn } from './call.js';
import { begin, prove } from './prove.js';
import { call } from './step-up.js';

/** The convox CLI listens on this machine, and nowhere else. */
const LOOPBACK = /^http:\/\/(localhost|127\.0\.0\.1):\d{1,5}$/;

/** Where the answer goes: to the CLI that waits, or to the page that was wanted. */
function onward(callback, { proof, return_to: wanted }) {
  if (proof && LOOPBACK.test(callback)) return `${callback}/?data=${encodeURIComponent(btoa(proof))}`;
  return wanted?.startsWith('/app') ? wanted : null;
}

/** Lets the person answer, then goes on. */
export async function answerPage() {
  const place = document.getElementById('prove');
  if (!place) return;
  begin(place);
  try {
    const said = await prove(place, place.dataset.challenge);
    const next = onward(place.dataset.callback ?? '', said);
    turn('ask', 'answered');
    if (next) location.replace(next);
  } catch (error) {
    turn('ask', error.is('account-locked') ? 'locked' : 'over');
  }
}

export const deeds = {
  async 'end-asker'(button) {
    await call('DELETE', button.dataset.path);
    turn('ask', 'session-ended');
  },
};
