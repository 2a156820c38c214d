// The next times of cron patterns, and reading them, by croner:
//   node croner.mjs next|parse N PATTERN ZONE
// prints the CPU time for each in nanoseconds, and a check sum.
import { createRequire } from "node:module";

const require = createRequire(process.argv[2] + "/");
const { Cron } = require("croner");
const [side, count, pattern, timezone] = process.argv.slice(3);
const n = Number(count);
const begin = new Date(1767225600000);

function next() {
  const made = new Cron(pattern, { timezone });
  let sum = 0, time = begin;
  for (let i = 1; i <= n; i++) {
    time = made.nextRun(time);
    sum += time.getTime() / 1000;
    if (i % 10 === 0) time = begin;
  }
  return sum;
}

function parse() {
  let made;
  for (let i = 0; i < n; i++) made = new Cron(pattern, { timezone });
  return made.nextRun(begin).getTime() / 1000;
}

const before = process.cpuUsage();
const sum = side === "next" ? next() : parse();
const used = process.cpuUsage(before);
console.log(((used.user + used.system) * 1000 / n).toFixed(1), sum);
