// What the buttons of all pages do. Each names its deed in `data-do`.

import { say, turn } from './call.js';
import { answerPage, deeds as challengeDeeds } from './challenge.js';
import { deeds as factorDeeds, sayAgain } from './factors.js';
import { call } from './step-up.js';

async function end(button) {
  await call('DELETE', button.dataset.path);
  button.closest('li').remove();
  if (!document.querySelector('[data-do="end"]')) document.querySelector('[data-do="end-others"]')?.remove();
}

async function decide(button, approve, shown) {
  await call('POST', '/api/v1/auth/cli/confirm', { user_code: button.dataset.code, approve });
  turn('ask', shown);
}

const deeds = {
  ...challengeDeeds,
  ...factorDeeds,
  async 'sign-out'() {
    await call('POST', '/api/v1/auth/logout');
    location.assign('/app/login');
  },
  async end(button) {
    await end(button);
    say('The session has ended.');
    document.getElementById('sessions').focus();
  },
  async 'end-others'() {
    for (const button of document.querySelectorAll('[data-do="end"]')) await end(button);
    say('All other sessions have ended.');
    document.getElementById('sessions').focus();
  },
  confirm: (button) => decide(button, true, 'approved'),
  refuse: (button) => decide(button, false, 'refused'),
  async 'make-token'(form) {
    const fields = new FormData(form);
    const wanted = { name: fields.get('name').trim(), expires_in_days: Number(fields.get('days')) };
    const made = await call('POST', form.dataset.path, wanted);
    const show = (id, text) => { document.getElementById(id).textContent = text; };
    show('token', made.token);
    const [login, variable] = made.how;
    show('login', login);
    show('variable', variable);
    show('until', new Date(made.expires_at).toLocaleString(undefined, { dateStyle: 'long', timeStyle: 'short' }));
    turn('make', 'made');
  },
  async copy(button) {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.from).textContent);
    say('Copied.');
  },
};

/** One deed at a time for each button; what goes wrong is said. */
async function run(source, button) {
  if (button.getAttribute('aria-disabled') === 'true') return;
  button.setAttribute('aria-disabled', 'true');
  say('');
  try {
    await deeds[source.dataset.do](source);
  } catch (error) {
    say(error.message);
  } finally {
    button.removeAttribute('aria-disabled');
  }
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-do]');
  if (button) run(button, button);
});

document.addEventListener('submit', (event) => {
  if (!event.target.dataset.do) return;
  event.preventDefault();
  run(event.target, event.submitter ?? event.target);
});

sayAgain();
answerPage();
