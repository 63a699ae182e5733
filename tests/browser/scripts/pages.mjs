// Goes through the pages of the gateway at `origin` with the session `session`, by keyboard alone where
// something is done. `code` is that of a waiting command line, `other` the name of another session to
// end. Gives what each page is, what axe-core finds wrong with it, and what was seen.

import { eyes } from '../eyes.mjs';
import { run } from '../lib.mjs';

await run(async ({ input, context, page, complaints }) => {
  const { wrong, pictures, look, press, expectFocus, forgive } = eyes(page, complaints);
  const to = (path) => page.goto(`${input.origin}${path}`);
  const button = (name, exact = true) => page.getByRole('button', { name, exact });

  await to('/api/v1/auth/web/callback?state=unknown&code=unknown');
  await page.getByRole('heading', { name: 'You are not signed in' }).waitFor();
  await look('sign-in-error');
  forgive(400);
  await to('/app');
  const sentTo = page.url();
  await look('login');

  await context.addCookies([{
    name: '__Host-rgw_session',
    value: input.session,
    url: input.origin.replace('http:', 'https:'),
    secure: true,
    httpOnly: true,
    sameSite: 'Lax',
  }]);

  await to('/app');
  await page.getByRole('heading', { name: 'Where you are signed in' }).waitFor();
  await look('account');
  await press(button(`End ${input.other}`, false));
  await page.getByText('The session has ended.').waitFor();
  const left = await page.getByRole('listitem').filter({ hasText: input.other }).count();

  await to('/app/cli');
  await look('cli-type');
  await page.getByLabel('Code', { exact: true }).fill('XXXX-XXXX');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').waitFor();
  await look('cli-unknown');
  await page.getByLabel('Code', { exact: true }).fill(input.code.toLowerCase().replace('-', ' '));
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Does your terminal show this code?' }).waitFor();
  const code = await page.locator('.big').textContent();
  await look('cli-ask');
  await press(button('Confirm'));
  await expectFocus(page.getByRole('heading', { name: 'Your command line is signed in' }), 'cli-confirmed');
  await look('cli-confirmed');
  await to(`/app/cli?code=${input.code}`);
  const again = await page.getByRole('alert').textContent();

  await to('/app/cli-token');
  await look('cli-token');
  await page.getByLabel('Name').fill('build machine');
  await page.getByLabel('Good for').selectOption('7');
  await press(button('Make the token'));
  await page.getByRole('heading', { name: 'Your token' }).waitFor();
  const token = await page.locator('#token').textContent();
  const lines = await page.locator('.line code').allTextContents();
  await look('cli-token-made');
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: input.origin });
  await press(button('Copy the token'));
  await page.getByText('Copied.').waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  await page.reload();
  const shownAgain = (await page.content()).includes(token);

  await to('/app/nowhere');
  forgive(404);
  await look('refused');
  await to('/app');
  await press(button('End all others'));
  await page.getByText('All other sessions have ended.').waitFor();
  const others = await page.locator('[data-do="end"]').count();
  await press(button('Sign out'));
  await page.waitForURL('**/app/login');
  await to('/app');
  const signedOut = page.url();

  return {
    wrong, pictures, complaints, sentTo, left, code, again, token, lines, copied, shownAgain, others, signedOut,
  };
});
