// Opens `url`, signs in as `person` at `provider` (dev, panva), and gives the address that it is
// sent back to, which begins with `back`. With `pictures`, saves the provider's page under that name.

import { run, screenshots, signIn } from '../lib.mjs';

await run(async ({ input, page, complaints }) => {
  await page.goto(input.url);
  const title = await page.title();
  const pictures = input.pictures ? await screenshots(page, input.pictures) : [];
  await signIn(page, input.provider, input.person);
  await page.waitForURL((url) => url.href.startsWith(input.back));
  return { url: page.url(), title, pictures, complaints };
});
