// What a trace of asynchronous calls costs in Node: an operation is a promise that
// is waited for.
//   node bench/peers/trace_events.mjs 100000
//   node --trace-event-categories node.async_hooks \
//     --trace-event-file-pattern /tmp/node_trace.json bench/peers/trace_events.mjs 100000
const n = Number(process.argv[2] ?? 100000);
const began = process.hrtime.bigint();
for (let i = 0; i < n; i++) {
  await null;
}
console.log((Number(process.hrtime.bigint() - began) / n).toFixed(1));
