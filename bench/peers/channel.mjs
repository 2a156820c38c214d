// What bench/channel.lua measures, with the worker_threads of Node: a number to and fro between
// two threads, and a stream of small objects from one to the other. Prints how many a second.
import { Worker, isMainThread, parentPort, workerData } from "node:worker_threads";

const [rounds, objects] = isMainThread ? process.argv.slice(2).map(Number) : [0, 0];

function start(mode) {
  return new Promise((resolve) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: mode });
    worker.once("online", () => resolve(worker));
  });
}

function perSecond(n, begun) {
  return n / (Number(process.hrtime.bigint() - begun) / 1e9);
}

async function pingPong() {
  const worker = await start("echo");
  const begun = process.hrtime.bigint();
  let left = rounds;
  await new Promise((resolve) => {
    worker.on("message", () => (--left === 0 ? resolve() : worker.postMessage(left)));
    worker.postMessage(left);
  });
  const result = perSecond(rounds, begun);
  await worker.terminate();
  return result;
}

async function stream() {
  const worker = await start("count");
  const begun = process.hrtime.bigint();
  const counted = new Promise((resolve) => worker.once("message", resolve));
  for (let i = 1; i <= objects; i++) {
    worker.postMessage({ id: i, name: "item", ok: true });
    if (i % 1000 === 0) await new Promise(setImmediate);
  }
  worker.postMessage(null);
  await counted;
  const result = perSecond(objects, begun);
  await worker.terminate();
  return result;
}

if (isMainThread) {
  console.log("ping-pong", await pingPong());
  console.log("stream", await stream());
} else if (workerData === "echo") {
  parentPort.on("message", (n) => parentPort.postMessage(n));
} else {
  let sum = 0;
  parentPort.on("message", (object) => {
    if (object) sum += object.id;
    else parentPort.postMessage(sum);
  });
}
