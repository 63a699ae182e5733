// Signs in to the gateway at `origin`, sets up the first second factors as the pages lead to it, and
// changes them, by keyboard alone. Gives what was seen, and what axe-core finds wrong.

import { eyes } from '../eyes.mjs';
import { App, passkeys } from '../factors.mjs';
import { run } from '../lib.mjs';

await run(async ({ input, context, page, complaints }) => {
  const { wrong, pictures, look, press, expectFocus, forgive } = eyes(page, complaints);
  const keys = await passkeys(page);
  const to = (path) => page.goto(`${input.origin}${path}`);
  const at = (path) => page.waitForURL((url) => url.pathname === path);
  const button = (name, exact = true) => page.getByRole('button', { name, exact });
  const heading = (name) => page.getByRole('heading', { name });
  const said = (text) => page.getByRole('status').filter({ hasText: text }).waitFor();
  const dialog = page.getByRole('dialog');
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: input.origin });

  // The first factor: nothing else is to be had before.
  await to('/app/cli-token');
  await page.getByRole('link', { name: /^Sign in with/ }).click();
  await heading('Set up a second factor to go on').waitFor();
  const ledTo = page.url();
  await to('/app');
  const insisted = page.url();
  await to('/app/factors?return_to=/app/cli-token');
  await look('first');
  await keys.present(false);
  await press(button('Add a passkey'));
  await said('The passkey was not used');
  await keys.present(true);
  await press(button('Add a passkey'));
  await expectFocus(heading('Your backup codes'), 'codes');
  await look('codes');
  const codes = (await page.locator('#code-list').textContent()).split('\n');
  await press(button('Copy'));
  await said('Copied.');
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  await press(page.getByRole('link', { name: 'I keep them: go on' }));
  await at('/app/cli-token');
  const shownAgain = (await page.content()).includes(codes[0]);

  await to('/app');
  const notices = await page.locator('.notices li').allInnerTexts();
  await look('account');
  await page.reload();
  const fresh = await page.locator('.notices .fresh').count();

  // The second one: the first must be shown for it.
  await page.getByRole('link', { name: 'Manage them' }).click();
  await heading('Your factors').waitFor();
  await press(button('Add an app'));
  await expectFocus(button('Use a passkey or security key'), 'dialog');
  await look('dialog');
  const asked = await dialog.innerText();
  await page.keyboard.press('Escape');
  await said('Cancelled');
  await expectFocus(button('Add an app'), 'cancelled');
  await press(button('Add an app'));
  await press(dialog.getByRole('button', { name: 'Use a passkey or security key' }));
  await expectFocus(heading('Add an authenticator app'), 'app');
  await look('app');
  const qr = await page.locator('#qr').evaluate((image) => image.complete && image.naturalWidth > 0);
  const uri = await page.locator('#otpauth').getAttribute('href');
  const app = new App(await page.locator('#secret').textContent());
  const field = page.getByLabel('Code that the app shows');
  await field.fill(app.wrong());
  await field.press('Enter');
  await page.locator('#app .status').filter({ hasText: /\w/ }).waitFor();
  const wrongCode = await page.locator('#app .status').textContent();
  await field.fill(await app.code(page));
  await field.press('Enter');
  await said('The authenticator app is added.');
  await look('factors');

  await press(page.getByLabel('Rename Phone'));
  const name = page.getByLabel('New name').nth(1);
  await name.fill('Old phone');
  await name.press('Enter');
  await said('The name is changed.');
  await page.getByLabel('Ask me first for').selectOption('totp');
  await press(page.locator('[data-do="prefer"] button'));
  await said('Saved.');

  // A backup code in the place of a factor, and the same once more.
  const backup = async (remove) => {
    await press(remove);
    await dialog.waitFor();
    await expectFocus(dialog.getByLabel('Code of your authenticator app'), 'preferred way');
    await press(dialog.getByText('Use a backup code'));
    const code = dialog.getByLabel('One of your backup codes');
    await code.fill(codes[0].toLowerCase());
    await code.press('Enter');
  };
  await backup(button('Remove Old phone'));
  await said('The factor is removed.');
  await press(button('Add an app'));
  await dialog.waitFor();
  await press(dialog.getByText('Use a backup code'));
  const code = dialog.getByLabel('One of your backup codes');
  await code.fill(codes[0]);
  await code.press('Enter');
  await dialog.getByRole('status').filter({ hasText: /\w/ }).waitFor();
  const usedCode = await dialog.getByRole('status').textContent();
  await expectFocus(code, 'used code');
  await look('dialog-wrong');
  await press(dialog.getByRole('button', { name: 'Cancel' }));
  await said('Cancelled');

  await press(button('Make new codes'));
  await expectFocus(heading('Your backup codes'), 'new codes');
  const newCodes = (await page.locator('#code-list').textContent()).split('\n');
  await press(page.getByRole('link', { name: 'I keep them: go on' }));
  await heading('Your factors').waitFor();
  await press(button(/^Remove /));
  await dialog.waitFor();
  await press(dialog.getByRole('button', { name: 'Use a passkey or security key' }));
  await page.getByRole('status').filter({ hasText: /\w/ }).waitFor();
  const last = await page.getByRole('status').filter({ hasText: /\w/ }).textContent();

  for (const status of [401, 403, 409]) forgive(status);
  return {
    wrong, pictures, complaints, ledTo, insisted, codes, copied, shownAgain, notices, fresh, asked, qr, uri,
    wrongCode, usedCode, newCodes, last,
  };
});
