// Signs in to the gateway at `origin` as `person` of panva's provider, confirms the CLI whose page is
// `cli`, makes a CLI token, ends with signing out. Gives what a person would have seen.

import { run, signIn } from '../lib.mjs';

await run(async ({ input, page, complaints }) => {
  await page.goto(`${input.origin}/app`);
  const asked = page.url();
  await page.getByRole('link', { name: /^Sign in with/ }).click();
  await signIn(page, 'panva', input.person);
  await page.waitForURL(`${input.origin}/app`);
  const account = await page.getByRole('main').innerText();

  await page.goto(input.cli);
  const code = await page.locator('.code.big').innerText();
  await page.getByRole('button', { name: 'Confirm' }).click();
  await page.locator('#approved').waitFor();

  await page.goto(`${input.origin}/app/cli-token`);
  await page.getByLabel('Name').fill('a build machine');
  await page.getByRole('button', { name: 'Make the token' }).click();
  await page.locator('#made').waitFor();
  const token = await page.locator('#token').innerText();
  const login = await page.locator('#login').innerText();
  await page.reload();
  const again = await page.content();

  await page.goto(`${input.origin}/app`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL((url) => url.pathname === '/app/login');
  // The provider's own pages ask for fonts of other sites.
  const ours = complaints.filter((complaint) => !complaint.includes('ERR_NAME_NOT_RESOLVED'));
  const cookies = (await page.context().cookies()).map((cookie) => cookie.name);
  return { asked, account, code, token, login, shownOnce: !again.includes(token), cookies, complaints: ours };
});
