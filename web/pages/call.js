// Calls of the gateway's API. Every change carries the token that the page was served with.

const csrf = document.querySelector('meta[name="csrf-token"]')?.content ?? '';

/** What the gateway answers when it does not do what it was asked for. */
export class Problem extends Error {
  constructor(status, json) {
    super(json?.error ?? `The gateway answers ${status}.`);
    this.status = status;
    this.type = json?.type ?? '';
    this.challenge = json?.challenge;
  }

  /** Whether it is the problem of this slug. */
  is(slug) {
    return this.type === `/problems/${slug}`;
  }
}

/** Says something in the status line of `place`, or in the one of the page that is shown. */
export function say(text, place = document.querySelector('main')) {
  const lines = [...place.querySelectorAll('.status')];
  const line = lines.find((one) => !one.closest('[hidden]')) ?? lines[0];
  if (line) line.textContent = text;
}

/** Shows one part of the page in the place of another; its heading is read out. */
export function turn(from, to) {
  document.getElementById(from).hidden = true;
  document.getElementById(to).hidden = false;
  document.querySelector(`#${to} h1`).focus();
}

/** Where to come back to: this page. */
export function here() {
  return encodeURIComponent(location.pathname + location.search);
}

/** Calls the API once. Whoever is not signed in any more goes to sign in, and comes back here. */
export async function send(method, path, body) {
  const headers = { Accept: 'application/json', 'X-CSRF-Token': csrf };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const answer = await fetch(path, { method, headers, body: JSON.stringify(body) });
  const text = await answer.text();
  const isJson = /^application\/([a-z]+\+)?json\b/.test(answer.headers.get('content-type') ?? '');
  const json = isJson && text ? JSON.parse(text) : null;
  if (answer.ok) return json;
  const problem = new Problem(answer.status, json);
  if (answer.status === 401 && !problem.is('challenge')) {
    location.assign(`/app/login?return_to=${here()}`);
    throw new Error('Your session is over.');
  }
  throw problem;
}
