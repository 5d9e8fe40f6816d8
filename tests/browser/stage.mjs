// A private server, prepared queues, workers, and `redeliver serve` in front of them.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = new URL('../..', import.meta.url).pathname;
const program = process.env.REDELIVER_PROGRAM ?? join(root, 'target/debug/redeliver');
const require = createRequire(join(root, 'target/browser/package.json'));
const { chromium } = require('playwright-core');

/** Far longer than anything takes; a test never waits for it unless it fails. */
export const PATIENCE = 300_000;

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

/** What dead letters died of, by the rest of their number divided by ten. */
const ERRORS = [
  'connect timeout after 30s to 10.0.0.', 'connect timeout after 30s to 10.0.0.', 'connect timeout after 30s to 10.0.0.',
  'connect timeout after 30s to 10.0.0.', 'HTTP 503 from api.example.org, request ', 'HTTP 503 from api.example.org, request ',
  'HTTP 503 from api.example.org, request ', 'no such user: ', 'no such user: ', '<img src=x onerror=alert(1)> in field ',
];

/** Moves all ready messages to the dead letters, as workers that bury them would. */
const BURY = `
  local ready, dead, attempts, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
  local ids, now = redis.call('LRANGE', ready, 0, -1), redis.call('TIME')
  for i, id in ipairs(ids) do
    local at = string.format('%d', now[1] * 1000 - (#ids - i) * 2)
    local text = ARGV[1 + i % #ARGV] .. i
    redis.call('ZADD', dead, at, id)
    redis.call('HSET', attempts, id, '2 2 2 [[' .. at .. ',2,"' .. text .. '"],[' .. (at - 4200) .. ',1,"' .. text .. '"]]')
  end
  redis.call('DEL', ready)
  redis.call('HINCRBY', meta, 'buried', #ids)
  return #ids`;

export class Stage {
  static async open(serveArguments = []) {
    const stage = new Stage();
    stage.dir = mkdtempSync(join(tmpdir(), 'rd-browser-'));
    stage.socket = join(stage.dir, 'redis.sock');
    stage.children = [];
    stage.start('redis-server', ['--port', '0', '--unixsocket', stage.socket, '--save', '', '--dir', stage.dir]);
    await until('the server', () => stage.redis('PING') === 'PONG');
    const serve = stage.start(program, ['serve', '--listen', '127.0.0.1:0', ...serveArguments]);
    stage.url = await new Promise((resolve, reject) => {
      let told = '';
      serve.on('exit', () => reject(new Error(`serve has ended: ${told}`)));
      serve.stderr.on('data', (text) => {
        told += text;
        const found = /serving (http:\S+)/.exec(told);
        if (found) resolve(found[1]);
      });
    });
    stage.serve = serve;
    return stage;
  }

  get environment() {
    return { ...process.env, REDELIVER_URL: `unix://${this.socket}` };
  }

  start(command, args) {
    const child = spawn(command, args, { env: this.environment, stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.resume();
    this.children.push(child);
    return child;
  }

  redis(...args) {
    try {
      return execFileSync('redis-cli', ['-s', this.socket, ...args.map(String)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    } catch {
      return null;
    }
  }

  run(args, input = '') {
    const options = { env: this.environment, input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] };
    return execFileSync(program, args, options).trim();
  }

  counts(queue) {
    return JSON.parse(this.run(['counts', queue]));
  }

  push(queue, payloads, ...options) {
    return this.run(['push', queue, '--lines', ...options], payloads.join('\n'));
  }

  bury(queue, errors = ERRORS) {
    const key = (name) => `rd:{${queue}.0}:${name}`;
    return this.redis('EVAL', BURY, 4, key('ready'), key('dead'), key('attempts'), key('meta'), ...errors);
  }

  work(queue, command, ...options) {
    return this.start(program, ['work', queue, '--exec', command, '-c', '2', '--no-poller', ...options]);
  }

  async browser() {
    this.chromium = await chromium.launchPersistentContext(join(this.dir, 'chromium'), {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS, timeout: PATIENCE,
      viewport: { width: 1280, height: 860 },
    });
    this.chromium.setDefaultTimeout(PATIENCE);
    return this.chromium;
  }

  async close() {
    await this.chromium?.close();
    const ended = this.children.reverse().map((child) => new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) resolve();
      child.on('exit', resolve);
      child.kill('SIGTERM');
    }));
    await Promise.all(ended);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export async function until(what, holds) {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end) {
    if (await holds()) return;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  throw new Error(`waited in vain for ${what}`);
}

const orders = (from, count) => Array.from({ length: count }, (_, i) => JSON.stringify({
  order: 48_000 + from + i, customer: `c-${(i * 7919) % 997}`, total: `${(i * 37) % 400}.${10 + (i % 90)}`,
  currency: ['EUR', 'USD', 'GBP'][i % 3], items: [{ sku: `SKU-${i % 50}`, quantity: 1 + (i % 4) }],
}));

/** Queues as they look in the middle of a working day. */
export function fill(stage) {
  stage.push('emails', orders(0, 400), '--kind', 'receipt');
  stage.push('emails', orders(400, 300), '--delay', '40s', '--kind', 'reminder');
  for (const delay of ['3s', '9s', '15s', '22s', '31s', '33s', '50s', '55s']) {
    stage.push('emails', orders(700, 12 + Number.parseInt(delay, 10) * 3), '--delay', delay);
  }
  for (const delay of ['4min', '9min', '20min', '35min', '3h', '9h', '20h']) stage.push('emails', orders(1000, 150), '--delay', delay);
  stage.push('webhooks', orders(0, 2000), '--header', 'traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', '--kind', 'order.paid');
  stage.bury('webhooks');
  stage.push('webhooks', orders(2000, 60));
  stage.push('exports', orders(0, 240), '--kind', 'export.csv');
  stage.run(['pause', 'exports']);
  stage.push('thumbnails', orders(0, 90));
  stage.push('reports.nightly', orders(0, 12), '--delay', '7h');
}
