// What bench/policies.lua does, by cockatiel: node policies.mjs DIRECTORY SIDE N, where
// DIRECTORY has it in node_modules.
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

const before = process.cpuUsage();
await calls(side);
const { user, system } = process.cpuUsage(before);
console.log((((user + system) * 1000) / n).toFixed(1));
