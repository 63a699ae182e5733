// Calls that may be challenged: the dialog asks for a second factor, then the call is made again.

import { here, send } from './call.js';
import { begin, prove } from './prove.js';

/** In the order in which they are asked for. */
const METHODS = ['webauthn', 'totp', 'yubico', 'backup'];

/** One dialog at a time. */
let last = Promise.resolve();

/** Calls the API; when it asks for a second factor and gets it, once more. */
export async function call(method, path, body) {
  try {
    return await send(method, path, body);
  } catch (problem) {
    if (problem.is?.('enrolment')) location.assign(`/app/factors?return_to=${here()}`);
    if (!problem.challenge) throw problem;
    const mine = last.then(() => stepUp(problem.challenge));
    last = mine.catch(() => {});
    await mine;
  }
  return send(method, path, body);
}

/** What will do, of what the person has. */
function usable({ methods, strong }) {
  return METHODS.filter((method) => methods[method] && (!strong || method === 'webauthn'));
}

/** Shows in the dialog what is asked, and the ways to answer. */
function fill(dialog, asked) {
  const part = (name) => dialog.querySelector(`[data-part="${name}"]`);
  const ways = usable(asked);
  const first = ways.includes(asked.methods.preferred) ? asked.methods.preferred : ways[0];
  part('action').textContent = asked.action;
  part('resource').textContent = asked.resource;
  part('reasons').replaceChildren(...asked.reasons.map(({ why }) => {
    const line = document.createElement('li');
    line.textContent = why;
    line.className = 'message';
    return line;
  }));
  part('trust').hidden = !asked.may_trust_device;
  part('none').hidden = ways.length > 0;
  for (const method of METHODS) {
    const way = part(method) ?? dialog.querySelector(`[data-method="${method}"]`);
    const main = dialog.querySelector(`[data-method="${method}"]`);
    way.hidden = !ways.includes(method);
    if (way instanceof HTMLDetailsElement) way.open = method === first;
    (main.elements?.code ?? main).toggleAttribute('data-first', method === first);
  }
  for (const form of dialog.querySelectorAll('form')) form.reset();
  part('trust').querySelector('input').checked = false;
  dialog.querySelector('.status').textContent = '';
}

/** Asks for a second factor; fails when the person does not go on. */
async function stepUp(challenge) {
  const dialog = document.getElementById('step-up');
  fill(dialog, await send('GET', `/api/v1/challenges/${encodeURIComponent(challenge.id)}`));
  const over = new AbortController();
  const cancelled = new Promise((_, reject) => {
    const cancel = () => reject(new Error('Cancelled: nothing was changed.'));
    dialog.addEventListener('close', cancel, { signal: over.signal });
    dialog.querySelector('[data-part="cancel"]').addEventListener('click', cancel, { signal: over.signal });
  });
  dialog.showModal();
  begin(dialog);
  try {
    await Promise.race([prove(dialog, challenge.id, over.signal), cancelled]);
  } finally {
    over.abort();
    dialog.close();
  }
}
