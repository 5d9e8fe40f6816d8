// BullMQ: addBulk in chunks of 1,000, one Worker with 200 jobs at a time, finished jobs removed.

import { openSync, writeSync } from "node:fs";
import { createRequire } from "node:module";

// The packages lie in the build folder, not beside this file.
const require = createRequire(`${process.env.PEER_MODULES}/package.json`);
const { Queue, Worker } = require("bullmq");

const BULK = 1000;
const TASKS = 1000;
const CONCURRENCY = 200;
const WARM_UP = 900000000;
const LAST_ATTEMPT = 3;
const PAYLOAD_BYTES = 100;

const { hostname: host, port } = new URL(process.env.PEER_URL);
const connection = { host, port: Number(port), maxRetriesPerRequest: null };

function parse([count, ...rest]) {
  const push = { count: Number(count), first: 0, due: 0, spread: 0, each: false };
  while (rest.length > 0) {
    const option = rest.shift();
    if (option === "--each") push.each = true;
    else if (option === "--delay-until-ms") push.due = Number(rest.shift());
    else if (option === "--delay-ms") push.due = Date.now() + Number(rest.shift());
    else if (option === "--spread-ms") push.spread = Number(rest.shift());
    else if (option === "--first-id") push.first = Number(rest.shift());
    else throw new Error(`no option ${option}`);
  }
  return push;
}

function data(number) {
  const id = String(number).padStart(10, "0");
  const empty = JSON.stringify({ id, pad: "" }).length;
  return { id, pad: "x".repeat(PAYLOAD_BYTES - empty) };
}

function job(push, index) {
  const due = push.due && push.due + (push.spread * index) / push.count;
  const delay = due ? Math.max(0, Math.round(due - Date.now())) : 0;
  const opts = { attempts: 5, backoff: { type: "fixed", delay: 1 }, removeOnComplete: true, delay };
  return { name: "job", data: data(push.first + index), opts };
}

async function push(args) {
  const wanted = parse(args);
  const queue = new Queue("peers", { connection });
  await queue.waitUntilReady();
  const started = process.hrtime.bigint();
  if (wanted.each) {
    let next = 0;
    const task = async () => {
      while (next < wanted.count) {
        const { name, data, opts } = job(wanted, next++);
        await queue.add(name, data, opts);
      }
    };
    await Promise.all(Array.from({ length: TASKS }, task));
  } else {
    for (let from = 0; from < wanted.count; from += BULK) {
      const length = Math.min(BULK, wanted.count - from);
      await queue.addBulk(Array.from({ length }, (_, index) => job(wanted, from + index)));
    }
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  console.log(JSON.stringify({ seconds, due_ms: wanted.due }));
  await queue.close();
}

function work() {
  const log = openSync(process.env.PEER_LOG, "a");
  const mode = process.env.PEER_MODE;
  const handle = async ({ data: { id }, attemptsMade }) => {
    const us = Math.round((performance.timeOrigin + performance.now()) * 1000);
    const attempt = attemptsMade + 1;
    const fields = [String(us).padStart(16, "0"), id, String(attempt).padStart(4, "0")];
    writeSync(log, `${fields.join(" ")}\n`);
    if (mode === "hang") await new Promise(() => {});
    if (mode === "retry" && attempt < LAST_ATTEMPT && Number(id) < WARM_UP) throw new Error("not yet");
  };
  new Worker("peers", handle, { connection, concurrency: CONCURRENCY, removeOnComplete: { count: 0 } });
}

const [command, ...args] = process.argv.slice(2);
if (command === "push") await push(args);
else work();
