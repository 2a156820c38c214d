// What bench/workers.lua does, by piscina, and by the worker_threads of Node:
// node workers.mjs DIRECTORY SIDE N, where DIRECTORY has piscina in node_modules.
import { createRequire } from "node:module";
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

const WARM_UP = 200;

const [directory, side, count] = isMainThread ? process.argv.slice(2) : [];
const n = Number(count);
const file = new URL(import.meta.url);
const ns = () => Number(process.hrtime.bigint());

// What has passed since it was made, and what all threads have computed, in ns for one operation.
class Clock {
  #begun = ns();
  #cpu = process.cpuUsage();
  read() {
    const cpu = process.cpuUsage(this.#cpu);
    return [(ns() - this.#begun) / n, ((cpu.user + cpu.system) * 1e3) / n];
  }
}

// The task of piscina.
export default ({ a, b }) => a + b;

// ---- piscina -------------------------------------------------------------------------

async function withPool(drive) {
  const { Piscina } = createRequire(`${directory}/package.json`)("piscina");
  const pool = new Piscina({ filename: file.href, minThreads: 2, maxThreads: 2 });
  for (let i = 0; i < WARM_UP; i++) await pool.run({ a: i, b: 1 });
  const clock = new Clock();
  await drive((i) => pool.run({ a: i, b: 1 }));
  const costs = clock.read();
  await pool.close();
  return costs;
}

const flood = () =>
  withPool(async (run) => {
    const tasks = [];
    for (let i = 0; i < n; i++) tasks.push(run(i));
    await Promise.all(tasks);
  });

const inTurn = () =>
  withPool(async (run) => {
    for (let i = 0; i < n; i++) await run(i);
  });

// ---- worker_threads ------------------------------------------------------------------

// Starts a thread; resolves when its program has said that it runs.
function start(mode) {
  return new Promise((resolve) => {
    const worker = new Worker(file, { workerData: mode });
    worker.once("message", () => resolve(worker));
  });
}

async function pingPong() {
  const worker = await start("echo");
  const clock = new Clock();
  let left = n;
  await new Promise((resolve) => {
    worker.on("message", () => (--left === 0 ? resolve() : worker.postMessage(left)));
    worker.postMessage(left);
  });
  return clock.read();
}

async function stream() {
  const worker = await start("count");
  const clock = new Clock();
  const counted = new Promise((resolve) => worker.once("message", resolve));
  for (let i = 1; i <= n; i++) {
    worker.postMessage({ id: i, name: "item", ok: true });
    if (i % 1000 === 0) await new Promise(setImmediate);
  }
  worker.postMessage(null);
  await counted;
  return clock.read();
}

async function startAll() {
  let passed = 0;
  for (let i = 0; i < n; i++) {
    const begun = ns();
    const worker = await start("echo");
    passed += ns() - begun;
    await worker.terminate();
  }
  return [passed / n];
}

async function memory() {
  await (await start("echo")).terminate();
  const before = process.memoryUsage.rss();
  const workers = [];
  for (let i = 0; i < n; i++) workers.push(await start("echo"));
  return [(process.memoryUsage.rss() - before) / workers.length];
}

function serve() {
  let sum = 0;
  parentPort.on("message", (message) => {
    if (workerData === "echo") parentPort.postMessage(message);
    else if (message) sum += message.id;
    else parentPort.postMessage(sum);
  });
  parentPort.postMessage("runs");
}

if (isMainThread) {
  const sides = {
    flood, "in-turn": inTurn, "ping-pong": pingPong, stream, start: startAll, memory,
  };
  console.log((await sides[side]()).map((cost) => cost.toFixed(0)).join(" "));
  process.exit(0);
} else if (workerData === "echo" || workerData === "count") {
  serve(); // piscina's threads have other data
}
