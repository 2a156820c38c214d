// What bench/durable.lua does, by plainjob and liteque: node durable.mjs DIRECTORY SIDE N, where
// DIRECTORY has them in node_modules. It prints operations a second.
import { createRequire } from "node:module";
import { rmSync } from "node:fs";

const [directory, side, count] = process.argv.slice(2);
const n = Number(count);
const require = createRequire(`${directory}/package.json`);
const path = `${process.env.BENCH_DIRECTORY ?? "/tmp"}/bench-durable-peer.db`;
const clean = () => ["", "-wal", "-shm"].forEach((end) => rmSync(path + end, { force: true }));

const quiet = { error() {}, warn() {}, info() {}, debug() {} };

async function plainjob(full) {
  const { better, defineQueue, defineWorker } = await import(
    `${directory}/node_modules/plainjob/dist/plainjob.js`);
  const Database = require("better-sqlite3");
  const db = new Database(path);
  const queue = defineQueue({ connection: better(db), logger: quiet });
  if (full) db.pragma("synchronous = 2");
  return { queue, defineWorker };
}

async function work(full) {
  const { queue, defineWorker } = await plainjob(full);
  queue.addMany("empty", Array.from({ length: n }, (_, i) => i));
  let left = n;
  const start = process.hrtime.bigint();
  await new Promise((resolve) => {
    const worker = defineWorker("empty", async () => {}, {
      queue, logger: quiet, onCompleted: () => { if (--left === 0) resolve(worker.stop()); },
    });
    worker.start();
  });
  return Number(process.hrtime.bigint() - start) / 1e9;
}

async function add(full) {
  const { queue } = await plainjob(full);
  const start = process.hrtime.bigint();
  for (let i = 0; i < n; i++) queue.add("empty", i);
  return Number(process.hrtime.bigint() - start) / 1e9;
}

async function liteque() {
  const { buildDBClient, Runner, SqliteQueue } = await import(
    `${directory}/node_modules/liteque/dist/index.js`);
  const db = buildDBClient(path, { runMigrations: true });
  const queue = new SqliteQueue("empty", db, {
    defaultJobArgs: { numRetries: 2 }, keepFailedJobs: false,
  });
  for (let i = 0; i < n; i++) await queue.enqueue({ i });
  let left = n;
  const start = process.hrtime.bigint();
  await new Promise((resolve) => {
    const runner = new Runner(queue, {
      run: async () => {},
      onComplete: async () => { if (--left === 0) resolve(); },
      onError: async () => {},
    }, { concurrency: 20, pollIntervalMs: 100, timeoutSecs: 60, validator: { parse: (x) => x, safeParse: (x) => ({ success: true, data: x }) } });
    runner.run();
  });
  return Number(process.hrtime.bigint() - start) / 1e9;
}

const sides = {
  "work-normal": () => work(false), "work-full": () => work(true),
  "add-normal": () => add(false), "add-full": () => add(true), liteque,
};

clean();
const seconds = await sides[side]();
console.log((n / seconds).toFixed(1));
clean();
process.exit(0);
