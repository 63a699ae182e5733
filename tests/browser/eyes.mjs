// Looks at pages from all sides, and goes through them by keyboard alone.

import { screenshot, screenshots, violations } from './lib.mjs';

const NARROW = { width: 360, height: 800 };
const LEAST = { width: 320, height: 640 };

/** For one page of a browser: `wrong` and `pictures` grow as it is looked at. */
export function eyes(page, complaints) {
  const wrong = [];
  const pictures = [];
  return {
    wrong,
    pictures,

    /** In both colour schemes, on a phone, and in the least of windows. */
    async look(name) {
      const size = page.viewportSize();
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        wrong.push(...(await violations(page)).map((what) => `${name}, ${colorScheme}: ${what}`));
      }
      pictures.push(...(await screenshots(page, name)));
      await page.setViewportSize(NARROW);
      pictures.push(await screenshot(page, `${name}-narrow`));
      await page.setViewportSize(LEAST);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > LEAST.width) wrong.push(`${name}: ${wide} pixels wide in a window of ${LEAST.width}`);
      await page.setViewportSize(size);
    },

    /** Presses Tab until `target` has the focus, then Enter. */
    async press(target) {
      await page.evaluate(() => document.activeElement?.blur());
      for (let step = 0; step < 60; step += 1) {
        await page.keyboard.press('Tab');
        if (await target.evaluate((element) => element === document.activeElement)) {
          const outline = await target.evaluate((element) => getComputedStyle(element).outlineStyle);
          if (outline === 'none') wrong.push(`${await target.textContent()}: the focus is not seen`);
          await page.keyboard.press('Enter');
          return;
        }
      }
      throw new Error(`no way by keyboard to ${target}`);
    },

    /** Notes when `target` has not the focus. */
    async expectFocus(target, what) {
      await target.waitFor();
      const has = await target.evaluate((element) => element === document.activeElement);
      if (!has) wrong.push(`${what}: the focus is elsewhere`);
    },

    /** Browsers complain about a page that comes with this status. */
    forgive(status) {
      complaints.splice(0, complaints.length, ...complaints.filter((text) => !text.includes(`status of ${status}`)));
    },
  };
}
