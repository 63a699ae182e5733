// Opens `url` and waits `patience` milliseconds for what no page has: what a script leaves behind when
// it fails.

import { run } from '../lib.mjs';

await run(async ({ input, page }) => {
  await page.goto(input.url);
  await page.getByText('what no page has').waitFor({ timeout: input.patience });
});
