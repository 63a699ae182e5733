// Answers a challenge: what the buttons and forms of `ways.html` do, on a page and in the dialog.

import { Problem, say, send } from './call.js';
import { assertion } from './passkey.js';

/** After these, there is nothing to answer any more. */
const FINAL = ['challenge-over', 'account-locked'];

function isFinal(error) {
  return error instanceof Problem && (error.status === 404 || FINAL.some((slug) => error.is(slug)));
}

/** Sets the focus to the way to begin with. */
export function begin(place) {
  (place.querySelector('[data-first]') ?? place.querySelector('h1, h2'))?.focus();
}

/** The answer of one way. */
async function answer(path, source, signal) {
  const { method } = source.dataset;
  if (method !== 'webauthn') return { method, code: source.elements.code.value.trim() };
  const options = await send('POST', `${path}/webauthn`);
  return { method, credential: await assertion(options, signal) };
}

/**
 * Lets the person answer the challenge by the ways of `place`. Gives what the gateway says to the right
 * answer; fails when there is nothing to answer any more. Wrong answers are said in `place`.
 */
export function prove(place, id, signal) {
  const path = `/api/v1/challenges/${encodeURIComponent(id)}`;
  let asking = new AbortController();
  signal?.addEventListener('abort', () => asking.abort());
  return new Promise((resolve, reject) => {
    async function attempt(source, button) {
      if (button.getAttribute('aria-disabled') === 'true') return;
      button.setAttribute('aria-disabled', 'true');
      // A prompt for a passkey that is still open gives way.
      asking.abort();
      asking = new AbortController();
      const mine = asking.signal;
      const field = source.elements?.code;
      field?.removeAttribute('aria-invalid');
      say('', place);
      try {
        const shown = await answer(path, source, mine);
        const trust_device = place.querySelector('[name="trust"]').checked;
        resolve(await send('POST', `${path}/answer`, { ...shown, trust_device }));
      } catch (error) {
        if (isFinal(error)) reject(error);
        if (mine.aborted) return;
        say(error.message, place);
        field?.setAttribute('aria-invalid', 'true');
        field?.focus();
        field?.select();
      } finally {
        button.removeAttribute('aria-disabled');
      }
    }
    place.addEventListener('click', (event) => {
      const button = event.target.closest('button[data-method]');
      if (button) attempt(button, button);
    }, { signal });
    place.addEventListener('submit', (event) => {
      event.preventDefault();
      attempt(event.target, event.submitter ?? event.target);
    }, { signal });
  });
}
