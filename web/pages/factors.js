// The page of one's second factors.

import { say, turn } from './call.js';
import { creation } from './passkey.js';
import { call } from './step-up.js';

const SAID = 'said';
const overview = document.getElementById('overview');
/** Path of the factor that waits for its first code. */
let pending = '';

/** Loads the page again, and says there what was done. */
function again(text) {
  sessionStorage.setItem(SAID, text);
  location.reload();
}

/** Says what was done before the page was loaded again. */
export function sayAgain() {
  const text = sessionStorage.getItem(SAID);
  sessionStorage.removeItem(SAID);
  if (!text || !overview) return;
  document.getElementById('factors')?.focus();
  say(text);
}

/** Shows new backup codes, for the only time. */
async function showCodes(from, path) {
  const { codes } = await call('POST', path);
  document.getElementById('code-list').textContent = codes.join('\n');
  turn(from, 'codes');
}

/** After a factor was added: whoever has the first one gets backup codes, once. */
async function added(from, text) {
  if (overview.dataset.firstOf === undefined) return again(text);
  return showCodes(from, `/api/v1/users/${overview.dataset.person}/backup-codes`);
}

function named(form) {
  return new FormData(form).get('name').trim();
}

/** Codes are shown, and typed, in groups. */
function tight(code) {
  return code.replace(/\s/g, '');
}

export const deeds = {
  async 'add-passkey'(form) {
    const { path } = form.dataset;
    const { id, options } = await call('POST', path, { kind: 'webauthn', name: named(form) });
    await call('POST', `${path}/${id}/confirm`, { credential: await creation(options) });
    await added('overview', 'The passkey is added.');
  },
  async 'add-totp'(form) {
    const { path } = form.dataset;
    const made = await call('POST', path, { kind: 'totp', name: named(form) });
    pending = `${path}/${made.id}/confirm`;
    document.getElementById('qr').src = `data:image/svg+xml,${encodeURIComponent(made.qr_svg)}`;
    document.getElementById('otpauth').href = made.uri;
    document.getElementById('secret').textContent = made.secret.match(/.{1,4}/g).join(' ');
    document.getElementById('app-until').textContent = new Date(made.expires_at).toLocaleTimeString();
    turn('overview', 'app');
  },
  async 'confirm-totp'(form) {
    await call('POST', pending, { code: tight(form.elements.code.value) });
    await added('app', 'The authenticator app is added.');
  },
  async 'not-now'() {
    location.reload();
  },
  async 'add-yubico'(form) {
    const otp = form.elements.otp.value.trim();
    await call('POST', form.dataset.path, { kind: 'yubico', name: named(form), otp });
    await added('overview', 'The YubiKey is added.');
  },
  async 'rename-factor'(form) {
    await call('PUT', form.dataset.path, { name: named(form) });
    again('The name is changed.');
  },
  async 'remove-factor'(button) {
    await call('DELETE', button.dataset.path);
    again('The factor is removed.');
  },
  async prefer(form) {
    await call('PUT', form.dataset.path, { method: new FormData(form).get('method') });
    say('Saved.');
  },
  'make-codes': (button) => showCodes('overview', button.dataset.path),
  async print() {
    window.print();
  },
  async 'remove-device'(button) {
    await call('DELETE', button.dataset.path);
    button.closest('li').remove();
    say('The browser is not trusted any more.');
    document.getElementById('devices').focus();
  },
};
