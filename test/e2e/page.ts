import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import type { Machine } from './machine.ts';

const CHROMIUM = '/usr/bin/chromium';

/** `gangway ui` on a machine, as its user starts it. */
export interface Served {
  readonly port: number;
  readonly link: string;
  readonly process: ChildProcess;
}

export async function serveUi(machine: Machine, ...more: readonly string[]): Promise<Served> {
  const [program = '', ...args] = machine.gangwayCommand('ui', ...more);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  const link = await new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      said += chunk.toString();
      const found = /^The page: (\S+)$/m.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.on('close', (code) => reject(new Error(`gangway ui ended with ${code}: ${said}`)));
  });
  return { port: Number(new URL(link).port), link, process: child };
}

/**
 * Debian's Chromium, with its network in the namespace of `pid`. It is driven by a pipe: its own sockets are in there.
 * @param directory for its profile
 */
export function startBrowser(
  directory: string,
  pid?: number,
  flags: readonly string[] = [],
): Promise<Browser> {
  if (!existsSync(CHROMIUM)) throw new Error(`no ${CHROMIUM}: run \`sudo npm test\` or apt install chromium`);
  const starter = join(directory, 'chromium.sh');
  const inside = pid === undefined ? '' : `nsenter -t ${pid} -n `;
  writeFileSync(starter, `#!/bin/sh\nexec ${inside}${CHROMIUM} "$@"\n`);
  chmodSync(starter, 0o755);
  return puppeteer.launch({
    executablePath: starter,
    userDataDir: join(directory, 'chromium'),
    pipe: true,
    // Root may not use the sandbox; without a graphics card drawing is done by the processor.
    args: ['--no-sandbox', '--disable-gpu', '--force-color-profile=srgb', ...flags],
    protocolTimeout: 120_000,
  });
}

/** A tab whose errors are kept: a page that works has none. */
export async function openTab(browser: Browser): Promise<{ readonly page: Page; readonly errors: string[] }> {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(`${message.text()} ${message.location().url ?? ''}`.trim());
  });
  await page.setViewport({ width: 1440, height: 900 });
  return { page, errors };
}

/** Frames a second over `seconds`, as the browser draws them. */
export function framesPerSecond(page: Page, seconds: number): Promise<number> {
  return page.evaluate(
    (milliseconds) =>
      new Promise<number>((resolve) => {
        const start = performance.now();
        let frames = 0;
        const next = (time: number): void => {
          frames++;
          if (time - start < milliseconds) requestAnimationFrame(next);
          else resolve((frames * 1000) / (time - start));
        };
        requestAnimationFrame(next);
      }),
    seconds * 1000,
  );
}

/** Frames in each of `seconds` seconds, as the browser draws them, and how often the page itself drew its dots. */
export function frameRates(
  page: Page,
  seconds: number,
): Promise<{ readonly perSecond: readonly number[]; readonly dots: number }> {
  return page.evaluate(
    (count) =>
      new Promise<{ perSecond: number[]; dots: number }>((resolve) => {
        const { flow } = window as never as { flow: { frames: number } };
        const [start, before] = [performance.now(), flow.frames];
        const perSecond = Array.from({ length: count }, () => 0);
        const next = (time: number): void => {
          const second = Math.max(0, Math.floor((time - start) / 1000));
          if (second >= count) {
            resolve({ perSecond, dots: flow.frames - before });
            return;
          }
          perSecond[second] = (perSecond[second] ?? 0) + 1;
          requestAnimationFrame(next);
        };
        requestAnimationFrame(next);
      }),
    seconds,
  );
}
