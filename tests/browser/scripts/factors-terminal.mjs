// Answers challenges of command lines at the gateway at `origin`, for the person with the session
// `session` and an authenticator app with `secret`, which has shown the code of the step `step`: the link
// `link` of a refused command, which the session `other` of somebody else tries first; that of a convox
// CLI, whose token for its page is `token`; and the link `unasked` of a command that the person did not
// run. Gives what was seen, what the CLI got, and what axe-core finds wrong.

import { createServer } from 'node:http';
import { once } from 'node:events';

import { eyes } from '../eyes.mjs';
import { App } from '../factors.mjs';
import { profile, run } from '../lib.mjs';

/** What the convox CLI does while it waits: takes one call with `data`. */
async function terminal() {
  const got = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url, 'http://localhost');
    const data = url.searchParams.get('data');
    if (data !== null) got.push({ path: url.pathname, data });
    response.end('you may now close the window');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { got, server, callback: `http://localhost:${server.address().port}` };
}

await run(async ({ input, browser, context, page, complaints }) => {
  const { wrong, pictures, look, press, expectFocus, forgive } = eyes(page, complaints);
  const app = new App(input.secret, input.step);
  const main = page.getByRole('main');
  const cookie = (session) => ({
    name: '__Host-rgw_session',
    value: session,
    url: input.origin.replace('http:', 'https:'),
    secure: true,
    httpOnly: true,
    sameSite: 'Lax',
  });
  const code = main.getByLabel('Code of your authenticator app');
  const cli = await terminal();
  const linked = (callback) =>
    `${input.origin}/login/u2f?callback_url=${encodeURIComponent(callback)}&token=${encodeURIComponent(input.token)}`;

  const stranger = await profile(browser, complaints);
  await stranger.addCookies([cookie(input.other)]);
  const strangers = await stranger.newPage();
  await strangers.goto(input.link);
  const refused = await strangers.getByRole('main').innerText();
  await strangers.goto(linked(cli.callback));
  const refusedCli = await strangers.getByRole('heading', { level: 1 }).innerText();
  await stranger.close();

  await context.addCookies([cookie(input.session)]);
  await page.goto(input.link);
  await page.getByRole('heading', { name: 'Did you run this command?' }).waitFor();
  await expectFocus(code, 'link');
  await look('link');
  const asked = await main.innerText();
  await code.fill(await app.code(page));
  await press(page.getByRole('button', { name: 'Confirm with the code' }));
  await expectFocus(page.getByRole('heading', { name: 'It is confirmed' }), 'link answered');
  const answered = await page.locator('#answered').innerText();
  await look('link-answered');
  await page.reload();
  const again = await page.locator('#answered').innerText();

  await page.goto(linked('http://evil.example:80'));
  const elsewhere = await page.getByRole('heading', { level: 1 }).innerText();
  await page.goto(linked(cli.callback));
  await page.getByRole('heading', { name: 'Did you run this command?' }).waitFor();
  await look('console');
  await code.fill(await app.code(page));
  await code.press('Enter');
  await page.getByText('you may now close the window').waitFor();
  cli.server.close();

  // Somebody who did not ask ends the session that did.
  await page.goto(input.unasked);
  await press(page.getByRole('button', { name: 'End that session' }));
  await expectFocus(page.getByRole('heading', { name: 'The session has ended' }), 'session ended');
  await look('session-ended');
  await page.reload();
  const over = await page.getByRole('heading', { level: 1 }).innerText();

  // Whose session ends while a page is open is sent to sign in, and not asked for a password.
  await page.goto(`${input.origin}/app/factors`);
  const bye = await context.newPage();
  await bye.goto(`${input.origin}/app`);
  await bye.getByRole('button', { name: 'Sign out' }).click();
  await bye.waitForURL('**/app/login');
  await context.addCookies([cookie(input.session)]);
  await page.getByRole('button', { name: 'Make new codes' }).click();
  await page.waitForURL((url) => url.pathname === '/app/login');
  const ended = page.url();

  for (const status of [401, 403, 404]) forgive(status);
  return {
    wrong, pictures, complaints, refused, refusedCli, asked, answered, again, elsewhere, over, ended, got: cli.got,
  };
});
