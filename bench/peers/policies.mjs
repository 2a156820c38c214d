// What bench/policies.lua does, by cockatiel, and its `queued` by p-queue and bottleneck, and its `priorities` by p-queue:
// node policies.mjs DIRECTORY SIDE N, where DIRECTORY has them in node_modules.
import { createRequire } from "node:module";

const [directory, side, count] = process.argv.slice(2);
const n = Number(count);
const require = createRequire(`${directory}/package.json`);

const nothing = () => {};

function policy(side) {
  const c = require("cockatiel");
  const retry = () => c.retry(c.handleAll, { maxAttempts: 4, backoff: new c.ExponentialBackoff() });
  const breaker = () =>
    c.circuitBreaker(c.handleAll, {
      halfOpenAfter: 5000,
      breaker: new c.SamplingBreaker({ threshold: 0.5, duration: 10000, minimumRps: 2 }),
    });
  const timeout = () => c.timeout(5000, c.TimeoutStrategy.Aggressive);
  return {
    retry: retry,
    breaker: breaker,
    both: () => c.wrap(retry(), breaker()),
    timeout: timeout,
  }[side]();
}

async function calls(side) {
  const one = policy(side);
  for (let i = 0; i < n; i++) await one.execute(nothing);
}

// Tasks that give way once, all queued at once.
const tick = () => new Promise((resolve) => setImmediate(resolve));

async function pQueue(options) {
  const { default: PQueue } = await import(`${directory}/node_modules/p-queue/dist/index.js`);
  const queue = new PQueue({ concurrency: 16 });
  for (let i = 0; i < n; i++) queue.add(tick, options(i));
  await queue.onIdle();
}

async function bottleneck() {
  const Bottleneck = require("bottleneck");
  const limiter = new Bottleneck({ maxConcurrent: 16 });
  const all = [];
  for (let i = 0; i < n; i++) all.push(limiter.schedule(tick));
  await Promise.all(all);
}

// The priorities of p-queue count the other way round.
const others = {
  "p-queue": () => pQueue(() => undefined),
  priorities: () => pQueue((i) => ({ priority: 9 - ((i * 7) % 10) })),
  bottleneck: bottleneck,
};

const before = process.cpuUsage();
await (others[side] ? others[side]() : calls(side));
const { user, system } = process.cpuUsage(before);
console.log((((user + system) * 1000) / n).toFixed(1));
