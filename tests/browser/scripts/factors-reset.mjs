// Signs in to the gateway at `origin` as somebody whose second factors were taken away. Gives the page
// that comes then, and what axe-core finds wrong.

import { eyes } from '../eyes.mjs';
import { run } from '../lib.mjs';

await run(async ({ input, page, complaints }) => {
  const { wrong, pictures, look, forgive } = eyes(page, complaints);
  await page.goto(`${input.origin}/app`);
  await page.getByRole('link', { name: /^Sign in with/ }).click();
  await page.getByRole('heading', { name: 'Set up a second factor to go on' }).waitFor();
  const main = await page.getByRole('main').innerText();
  await look('reset');
  forgive(401);
  return { wrong, pictures, complaints, page: main };
});
