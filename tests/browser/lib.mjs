// What the scripts share: a browser that is new each time, signing in at the providers, screenshots.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { chromium } from 'playwright-core';

/** Where screenshots go. */
const ARTIFACTS = process.env.BROWSER_ARTIFACTS ?? '.';
/** Milliseconds that a script has, once there is a browser. */
const DEADLINE = Number(process.env.BROWSER_DEADLINE ?? 60_000);
/** Milliseconds that one step may take, and that a browser may take to start: a busy machine is slow. */
const STEP = 30_000;
const LAUNCH = 60_000;
/** Finds what keeps people out of a page. */
const AXE = new URL('node_modules/axe-core/axe.min.js', import.meta.url);
/** Name of the running script. */
const NAME = basename(process.argv[1], '.mjs');

const FLAGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--force-prefers-reduced-motion',
];

/** A headless Chromium with a profile of its own. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: FLAGS,
    // The one who started this process answers for its signals.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
    timeout: LAUNCH,
  });
}

/** A profile without cookies; what its pages complain about is added to `complaints`. */
export async function profile(browser, complaints, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1024, height: 900 }, ...options });
  context.setDefaultTimeout(STEP);
  context.on('console', (message) => {
    // Browsers ask for an icon; pages here need none.
    const isIcon = message.location().url.endsWith('/favicon.ico');
    if (message.type() === 'error' && !isIcon) complaints.push(message.text());
  });
  context.on('weberror', (error) => complaints.push(String(error.error())));
  return context;
}

/**
 * Runs `script({ input, browser, context, page, complaints, profile })` with the JSON of standard
 * input, and prints what it returns as JSON. When it fails, the complaints and the reason go to
 * standard error, and each open page to a picture.
 */
export async function run(script) {
  const input = JSON.parse(await text(process.stdin));
  const complaints = [];
  const browser = await launch();
  const context = await profile(browser, complaints, input.context);
  const page = await context.newPage();
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${NAME} is not done after ${DEADLINE} ms`)), DEADLINE);
  });
  try {
    const tools = { input, browser, context, page, complaints };
    const output = await Promise.race([script(tools), late]);
    process.stdout.write(`${JSON.stringify(output ?? null)}\n`);
  } catch (error) {
    process.exitCode = 1;
    console.error(error);
    complaints.forEach((complaint) => console.error(`the page complains: ${complaint}`));
    await remains(browser);
  } finally {
    clearTimeout(timer);
    await browser.close();
  }
}

/** Pictures of all open pages. */
async function remains(browser) {
  const pages = browser.contexts().flatMap((context) => context.pages());
  for (const [at, page] of pages.entries()) {
    const name = `failed-${at + 1}`;
    console.error(`page ${at + 1} is at ${page.url()}`);
    try {
      await screenshot(page, name);
      await keep(`${name}.html`, await page.content());
    } catch (error) {
      console.error(`no picture of it: ${error.message}`);
    }
  }
}

async function keep(name, content) {
  await mkdir(ARTIFACTS, { recursive: true });
  const path = join(ARTIFACTS, name);
  await writeFile(path, content);
  return path;
}

/** Saves a picture; gives its path. */
export async function screenshot(page, name) {
  return keep(`${name}.png`, await page.screenshot({ fullPage: true, timeout: STEP }));
}

/** Saves a picture in each colour scheme; gives their paths. */
export async function screenshots(page, name) {
  const paths = [];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    paths.push(await screenshot(page, `${name}-${colorScheme}`));
  }
  await page.emulateMedia({ colorScheme: null });
  return paths;
}

/** At the development provider's page: becomes `person`, or nobody. */
export async function signInDev(page, person) {
  await page.getByRole('heading', { name: 'Who do you want to be?' }).waitFor();
  const button = person
    ? page.locator(`button[name="person"][value="${person}"]`)
    : page.getByRole('button', { name: 'Cancel' });
  await button.click();
}

/** At oidc-provider's pages: signs in with a subject, and agrees. */
export async function signInPanva(page, subject) {
  await page.locator('input[name="login"]').fill(subject);
  await page.locator('input[name="password"]').fill('any');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
}

/** Signs in at `provider`, which is `dev` or `panva`. */
export function signIn(page, provider, person) {
  return { dev: signInDev, panva: signInPanva }[provider](page, person);
}

/** What axe-core finds wrong with the page, by rule and place. */
export async function violations(page) {
  // By its debugger, which the page's own policy does not hold for.
  await page.evaluate(await readFile(AXE, 'utf8'));
  const found = await page.evaluate(() => globalThis.axe.run());
  return found.violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(' ')}`));
}
