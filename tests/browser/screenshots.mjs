// Writes docs/screenshots/: each view at desktop and phone width, light and dark.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Stage, fill } from './stage.mjs';

const target = process.env.SCREENSHOTS ?? new URL('../../docs/screenshots', import.meta.url).pathname;
/** Long enough for plots to have a shape. */
const TRAFFIC = Number(process.env.TRAFFIC_MS ?? 75_000);

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const stage = await Stage.open();
try {
  fill(stage);
  stage.work('emails', 'sleep 0.05', '--lease', '20s');
  stage.work('thumbnails', '[ $(($(date +%N | sed s/^0*//) % 5)) -gt 0 ] || { echo "no space left on device" >&2; exit 1; }');
  stage.work('webhooks', 'sleep 0.4', '--lease', '15s');
  const context = await stage.browser();
  const page = await context.newPage();
  await page.goto(stage.url);
  const end = Date.now() + TRAFFIC;
  for (let round = 0; Date.now() < end; round += 1) {
    const jobs = (count) => Array.from({ length: count }, (_, i) => `{"job":${round * 100 + i},"url":"https://example.org/p/${i}"}`);
    stage.push('thumbnails', jobs(12 + Math.round(8 * Math.sin(round / 4))));
    stage.push('emails', jobs(8), '--delay', `${2 + (round % 5)}s`);
    stage.push('webhooks', jobs(3));
    await sleep(700);
  }
  const dead = JSON.parse(stage.run(['dead', 'ls', 'webhooks', '--limit', '1']).split('\n')[0]).id;
  const views = { overview: '#/', queue: '#/q/emails?state=scheduled', dead: '#/q/webhooks?state=dead', message: `#/q/webhooks/m/${dead}` };
  mkdirSync(target, { recursive: true });
  for (const [width, size] of Object.entries({ desktop: [1280, 860], phone: [390, 844] })) {
    await page.setViewportSize({ width: size[0], height: size[1] });
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      for (const [view, hash] of Object.entries(views)) {
        await page.goto(`${stage.url}/${hash}`);
        await page.reload();
        await page.locator('main').getByText(/\S/).first().waitFor();
        await sleep(1500);
        await page.screenshot({ path: join(target, `${view}-${width}-${colorScheme}.png`) });
      }
    }
  }
} finally {
  await stage.close();
}
