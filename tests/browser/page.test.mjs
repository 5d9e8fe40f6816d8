// The page in a real browser: what people see and do, and what must not happen to them.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PATIENCE, Stage, fill, until } from './stage.mjs';

let stage;
let context;
/** Everything that a page complained about, and every request that it made elsewhere. */
const complaints = [];
const elsewhere = [];

before(async () => {
  stage = await Stage.open();
  fill(stage);
  context = await stage.browser();
  context.on('weberror', ({ error }) => complaints.push(String(error())));
  context.on('console', (message) => {
    if (message.type() === 'error' && !/404|503/.test(message.text())) complaints.push(message.text());
  });
  context.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  context.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol.startsWith('http') && origin !== stage.url) elsewhere.push(request.url());
  });
}, { timeout: 2 * PATIENCE });

after(async () => {
  await stage?.close();
  assert.deepEqual(complaints, []);
  assert.deepEqual(elsewhere, []);
});

/** A page of its own for each test. */
function look(name, hash, body) {
  test(name, { timeout: 2 * PATIENCE }, async () => {
    const page = await context.newPage();
    try {
      await page.goto(`${stage.url}/${hash}`);
      await body(page);
    } finally {
      await page.close();
    }
  });
}

const row = (page, name) => page.locator('.queues tbody tr', { has: page.getByRole('link', { name, exact: true }) });
const cell = (page, queue, label) => row(page, queue).locator(`td[data-label="${label}"]`);

look('all queues are shown with their counts', '#/', async (page) => {
  await row(page, 'emails').waitFor();
  assert.equal(await page.locator('.queues tbody tr').count(), 5);
  assert.equal(await cell(page, 'webhooks', 'dead').textContent(), '2,000');
  await row(page, 'exports').getByText('paused').waitFor();
});

look('a page and all it loads weigh less than 200 kB', '#/q/emails', async (page) => {
  await page.locator('.uplot').nth(3).waitFor();
  const weight = await page.evaluate(() => ['navigation', 'resource']
    .flatMap((kind) => performance.getEntriesByType(kind))
    .filter((entry) => !entry.name.includes('/api/'))
    .reduce((sum, entry) => sum + entry.decodedBodySize, 0));
  console.log(`page weight: ${(weight / 1000).toFixed(1)} kB`);
  assert.ok(weight > 80_000 && weight < 200_000, `${weight} bytes`);
});

look('what is pushed shows without a reload', '#/', async (page) => {
  await row(page, 'reports.nightly').waitFor();
  assert.equal(await cell(page, 'reports.nightly', 'ready').textContent(), '0');
  stage.push('reports.nightly', ['now']);
  await cell(page, 'reports.nightly', 'ready').getByText('1', { exact: true }).waitFor();
  stage.push('appeared.just.now', ['x']);
  await row(page, 'appeared.just.now').waitFor();
});

look('plots and what is to come are drawn', '#/q/emails', async (page) => {
  await page.locator('.uplot canvas').nth(3).waitFor();
  const told = page.locator('figure .told');
  await told.getByText(/within the minute/).waitFor();
  await page.getByRole('button', { name: 'day' }).click();
  await told.getByText(/within the day/).waitFor();
});

look('a message is found by a text and by its id', '#/q/exports?state=ready', async (page) => {
  const search = page.getByLabel('Search messages');
  await search.fill('"order":48123');
  await search.press('Enter');
  await page.getByText(/1 found in 240 looked at/).waitFor();
  const link = page.locator('.messages .id a');
  const id = await link.textContent();
  await search.fill(id.toLowerCase());
  await search.press('Enter');
  await page.getByRole('heading', { name: id }).waitFor();
  assert.match(await page.locator('.payload').textContent(), /"order": 48123/);
});

look('a queue is paused and resumed', '#/q/thumbnails', async (page) => {
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Resume' }).waitFor();
  assert.equal(stage.counts('thumbnails').paused, true);
  await page.getByRole('button', { name: 'Resume' }).click();
  await page.getByRole('button', { name: 'Pause' }).waitFor();
  assert.equal(stage.counts('thumbnails').paused, false);
});

look('a group of dead letters is redriven with progress, and the others stay', '#/q/webhooks?state=dead', async (page) => {
  const group = page.locator('.groups tr', { hasText: 'HTTP # from api.example.org' });
  await group.waitFor();
  assert.equal(await group.locator('.number').textContent(), '600');
  await group.getByRole('button', { name: 'Redrive' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('Redrive 600 letters?').waitFor();
  // Slow enough to be seen, paused and resumed.
  await dialog.locator('input[name=rate]').fill('20');
  await dialog.getByRole('button', { name: 'Redrive' }).click();
  await page.locator('.task progress').waitFor();
  await page.locator('.task').getByText(/redriven of 2,000/).waitFor();
  await page.getByRole('button', { name: 'Pause redrive' }).click();
  await page.locator('.task').getByText(/^paused; /).waitFor();
  await page.getByRole('button', { name: 'Resume redrive' }).click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText(/Cancelled: \d+ redriven in webhooks/).waitFor();
  await page.locator('.task').waitFor({ state: 'detached' });
  const left = 600 - stage.counts('webhooks').redriven;
  await group.getByRole('button', { name: 'Redrive' }).click();
  await dialog.getByRole('button', { name: 'Redrive' }).click();
  await page.getByText(`${left} redriven in webhooks`).waitFor();
  await page.locator('.task').waitFor({ state: 'detached' });
  await group.waitFor({ state: 'detached' });
  const counts = stage.counts('webhooks');
  assert.deepEqual([counts.redriven, counts.dead], [600, 1400]);
});

look('a purge asks first, and can be left', '#/q/webhooks?state=dead', async (page) => {
  await page.getByRole('button', { name: 'Purge all' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('Nothing brings them back').waitFor();
  assert.equal(await page.evaluate('document.activeElement.textContent'), 'Keep as it is');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  assert.equal(stage.counts('webhooks').dead, 1400);
});

const HOSTILE = '<script>window.hit=1</script><img src=x onerror="window.hit=1">';

look('hostile payloads and errors are shown and stay text', '#/', async (page) => {
  const payload = `${HOSTILE}\u001b[2J\u202eevil\u0000`;
  stage.run(['push', 'hostile', '-', '--kind', HOSTILE, '--header', `x=${HOSTILE}`], payload);
  stage.bury('hostile', ['<script>window.hit=1</script>']);
  const { id } = JSON.parse(stage.run(['dead', 'ls', 'hostile']));
  await row(page, 'hostile').waitFor();
  for (const hash of ['#/q/hostile?state=dead', `#/q/hostile/m/${id}`]) {
    await page.goto(`${stage.url}/${hash}`);
    await page.locator('main').getByText('<script>window.hit=1</script>').first().waitFor();
    assert.equal(await page.evaluate('window.hit'), undefined);
    assert.equal(await page.locator('main script, main img').count(), 0);
  }
  const shown = await page.locator('.payload').textContent();
  assert.ok(shown.includes(HOSTILE) && shown.includes('\\u{1b}[2J\\u{202e}evil\\u{0}'), shown);
  // The browser itself refuses to make markup of text.
  const refused = await page.evaluate(() => {
    try {
      document.body.innerHTML = '<b>x</b>';
      return false;
    } catch {
      return true;
    }
  });
  assert.ok(refused);
  complaints.splice(0, Infinity, ...complaints.filter((text) => !/TrustedHTML/.test(text)));
});

look('numbers in JSON are shown as they were sent', '#/', async (page) => {
  stage.run(['push', 'numbers', '{"id":12345678901234567890,"ratio":1.0}']);
  const { id } = JSON.parse(stage.run(['peek', 'numbers']));
  await row(page, 'numbers').waitFor();
  await page.goto(`${stage.url}/#/q/numbers/m/${id}`);
  await page.locator('.payload').getByText('12345678901234567890').waitFor();
  assert.match(await page.locator('.payload').textContent(), /"ratio": 1\.0/);
});

look('everything can be reached by keyboard', '#/', async (page) => {
  await row(page, 'emails').waitFor();
  const reach = async (what) => {
    for (let presses = 0; presses < 60; presses += 1) {
      await page.keyboard.press('Tab');
      const text = await page.evaluate('document.activeElement.textContent');
      if (text.trim() === what) return;
    }
    assert.fail(`${what} cannot be reached`);
  };
  await reach('Skip to the content');
  await reach('emails');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'emails', exact: true }).waitFor();
  await reach('Pause');
  const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
  assert.equal(outline, 'solid');
});

look('nothing is wider than a phone', '#/', async (page) => {
  await page.setViewportSize({ width: 360, height: 740 });
  for (const hash of ['#/', '#/q/webhooks?state=dead', '#/q/emails?state=scheduled']) {
    await page.goto(`${stage.url}/${hash}`);
    await page.locator('tbody tr').first().waitFor();
    const wide = await page.evaluate('document.documentElement.scrollWidth');
    assert.ok(wide <= 360, `${hash} is ${wide} wide`);
  }
});

look('a page whose server goes away says so and comes back', '#/', async (page) => {
  await page.locator('.live').getByText('live', { exact: true }).waitFor();
  stage.serve.kill('SIGKILL');
  await page.locator('.live').getByText('reconnecting').waitFor();
  const port = new URL(stage.url).port;
  stage.serve = stage.start(process.env.REDELIVER_PROGRAM ?? 'target/debug/redeliver', ['serve', '--listen', `127.0.0.1:${port}`]);
  await page.locator('.live').getByText('live', { exact: true }).waitFor();
  await until('queues', () => page.locator('.queues tbody tr').count());
  complaints.splice(0, Infinity, ...complaints.filter((text) => !/ERR_/.test(text)));
});
