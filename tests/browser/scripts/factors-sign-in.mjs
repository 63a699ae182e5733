// Signs in to the gateway at `origin` again and again: with a passkey, with an authenticator app, in a
// browser that is trusted and in one that is not any more; ends with wrong codes until the account is
// locked. Gives what was seen, and what axe-core finds wrong.

import { eyes } from '../eyes.mjs';
import { App, passkeys } from '../factors.mjs';
import { run } from '../lib.mjs';

await run(async ({ input, context, page, complaints }) => {
  const { wrong, pictures, look, forgive } = eyes(page, complaints);
  await passkeys(page);
  const at = (path) => page.waitForURL((url) => url.pathname === path);
  const button = (name, exact = true) => page.getByRole('button', { name, exact });
  const heading = (name) => page.getByRole('heading', { name });
  const dialog = page.getByRole('dialog');
  const main = page.getByRole('main');
  const signIn = async () => {
    await page.goto(`${input.origin}/app`);
    await page.getByRole('link', { name: /^Sign in with/ }).click();
  };
  const signOut = async () => {
    await button('Sign out').click();
    await at('/app/login');
  };

  await signIn();
  await button('Add a passkey').click();
  await page.getByRole('link', { name: 'I keep them: go on' }).click();
  await page.goto(`${input.origin}/app/factors`);
  await button('Add an app').click();
  await dialog.getByRole('button', { name: 'Use a passkey or security key' }).click();
  await heading('Add an authenticator app').waitFor();
  const app = new App(await page.locator('#secret').textContent());
  await page.getByLabel('Code that the app shows').fill(await app.code(page));
  await button('Confirm').click();
  await page.getByText('The authenticator app is added.').waitFor();
  await signOut();

  await signIn();
  await heading('Confirm that it is you').waitFor();
  await look('challenge');
  await main.getByText('What is asked, and why').click();
  const asked = await main.innerText();
  await main.getByRole('button', { name: 'Use a passkey or security key' }).click();
  await at('/app');
  await signOut();

  await signIn();
  await main.getByLabel('Code of your authenticator app').fill(app.wrong());
  await button('Confirm with the code').click();
  await main.getByRole('status').filter({ hasText: /\w/ }).first().waitFor();
  const wrongCode = await main.getByRole('status').first().textContent();
  await look('challenge-wrong');
  await main.getByRole('checkbox', { name: 'Trust this browser for 30 days' }).check();
  await main.getByLabel('Code of your authenticator app').fill(await app.code(page));
  await button('Confirm with the code').click();
  await at('/app');
  const cookies = (await context.cookies()).map((cookie) => cookie.name).sort();
  await signOut();

  // It spares the prompt at sign-in, and nothing else.
  await signIn();
  await at('/app');
  await page.goto(`${input.origin}/app/cli-token`);
  await page.getByLabel('Name').fill('build machine');
  await button('Make the token').click();
  await dialog.waitFor();
  const trusts = await dialog.getByText('Trust this browser').isVisible();
  await dialog.getByLabel('Code of your authenticator app').fill(await app.code(page));
  await dialog.getByRole('button', { name: 'Confirm with the code' }).click();
  await heading('Your token').waitFor();
  const token = await page.locator('#token').textContent();

  await page.goto(`${input.origin}/app/factors`);
  await look('factors-trusted');
  await page.locator('[data-do="remove-device"]').click();
  await page.getByText('The browser is not trusted any more.').waitFor();
  await signOut();
  await signIn();
  await heading('Confirm that it is you').waitFor();
  const askedAgain = page.url();

  const locked = heading('Your account is locked');
  let tries = 0;
  while (!(await locked.isVisible()) && tries < 9) {
    tries += 1;
    const answer = page.waitForResponse((response) => response.url().endsWith('/answer'));
    await main.getByLabel('Code of your authenticator app').fill(app.wrong());
    await main.getByLabel('Code of your authenticator app').press('Enter');
    await (await answer).finished();
    await page.waitForFunction(() => !document.querySelector('[aria-disabled="true"]'));
  }
  await look('locked');

  for (const status of [401, 403]) forgive(status);
  return { wrong, pictures, complaints, asked, wrongCode, cookies, trusts, token, askedAgain, tries };
});
