// What bench/durable_postgres.lua does, by pg-boss and graphile-worker: node durable_postgres.mjs
// DIRECTORY SIDE N, where DIRECTORY has them in node_modules and UVJOBS_POSTGRES names the server.
// It prints operations a second, or for a side that ends with p50, p99 or wal what that is.
import { createRequire } from "node:module";

const [directory, side, count] = process.argv.slice(2);
const n = Number(count);
const require = createRequire(`${directory}/package.json`);
const connectionString = process.env.UVJOBS_POSTGRES;
const { Client } = require("pg");

const now = () => Number(process.hrtime.bigint()) / 1e9;
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

async function withClient(fn) {
  const client = new Client({ connectionString });
  await client.connect();
  try { return await fn(client); } finally { await client.end(); }
}

const walBytes = () => withClient(async (client) =>
  Number((await client.query("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS n")).rows[0].n));
const checkpoint = () => withClient((client) => client.query("CHECKPOINT"));

// ---- pg-boss -------------------------------------------------------------------------

async function withBoss(fn) {
  const PgBoss = require("pg-boss");
  const boss = new PgBoss({ connectionString, schema: `boss_${process.pid}`, supervise: false });
  boss.on("error", () => {});
  await boss.start();
  await boss.createQueue("empty");
  return fn(boss);
}

async function insert(boss) {
  for (let i = 0; i < n; i += 1000)
    await boss.insert(Array.from({ length: Math.min(1000, n - i) }, (_, k) =>
      ({ name: "empty", data: { i: i + k } })));
}

async function drain(boss) {
  for (let left = n; left > 0;) {
    const jobs = await boss.fetch("empty", { batchSize: 50 });
    await boss.complete("empty", jobs.map((job) => job.id));
    left -= jobs.length;
  }
}

const bossWork = () => withBoss(async (boss) => {
  await insert(boss);
  const start = now();
  await drain(boss);
  return n / (now() - start);
});

const bossSend = () => withBoss(async (boss) => {
  let i = 0;
  const start = now();
  await Promise.all(Array.from({ length: 10 }, async () => {
    while (i < n) await boss.send("empty", { i: i++ });
  }));
  return n / (now() - start);
});

const bossWal = () => withBoss(async (boss) => {
  await checkpoint();
  const start = await walBytes();
  await insert(boss);
  await drain(boss);
  return (await walBytes() - start) / n;
});

// ---- graphile-worker -----------------------------------------------------------------

async function withGraphile(task, fn) {
  const { Logger, makeWorkerUtils, run } = require("graphile-worker");
  const given = {
    connectionString, schema: `graphile_${process.pid}`, logger: new Logger(() => () => {}),
  };
  const utils = await makeWorkerUtils(given);
  await utils.migrate();
  return fn(utils, () => run({
    ...given, concurrency: 24, maxPoolSize: 26, noHandleSignals: true, pollInterval: 2000,
    taskList: { empty: task },
  }), given.schema);
}

async function graphileWork() {
  let left = n, resolve;
  const done = new Promise((fulfil) => { resolve = fulfil; });
  return withGraphile(async () => { if (--left === 0) resolve(); }, async (utils, begin, schema) => {
    await utils.withPgClient((client) => client.query(
      `SELECT ${schema}.add_job('empty', json_build_object('i', i)) FROM generate_series(1, ${n}) i`));
    const start = now();
    await begin();
    await done;
    return n / (now() - start);
  });
}

// Milliseconds from adding a job to its start, in an idle worker.
async function graphileStart(part) {
  let started;
  return withGraphile(async () => started(), async (utils, begin) => {
    await begin();
    await sleep(1);
    const times = [];
    for (let i = 0; i < n; i++) {
      const begun = new Promise((resolve) => { started = resolve; });
      const start = now();
      await utils.addJob("empty", { i });
      await begun;
      times.push(1000 * (now() - start));
      await sleep(0.1);
    }
    times.sort((a, b) => a - b);
    return times[Math.ceil(n * part) - 1];
  });
}

const sides = {
  "boss-work": bossWork, "boss-send": bossSend, "boss-wal": bossWal,
  "graphile-work": graphileWork,
  "graphile-start-p50": () => graphileStart(0.5), "graphile-start-p99": () => graphileStart(0.99),
};

console.log((await sides[side]()).toFixed(3));
process.exit(0);
