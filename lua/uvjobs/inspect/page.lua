-- The page of `uvjobs web`. It has no resources of its own to load: the server gives it data as
-- JSON, and it makes all text by textContent, so no name of a job can be markup.

local core = require "uvjobs.core"

core.own_source()

local STYLE <const> = [[
:root { color-scheme: light dark; --line: #d0d4da; --soft: #5c6470; --back: #ffffff;
  --text: #16191d; --alarm: #b3261e; --runs: #1b6e3c; --mark: #e8eef8; --link: #1c4fa0; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a4048; --soft: #a0a8b4; --back: #14171b; --text: #e6e8eb;
    --alarm: #ff8a80; --runs: #7bd69a; --mark: #222a36; --link: #9cc1ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 80rem; background: var(--back);
  color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.25rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
p { margin: .25rem 0; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.alarm { color: var(--alarm); font-weight: 600; }
pre { overflow-x: auto; margin: .25rem 0; padding: .5rem; background: var(--mark);
  font: 13px/1.4 ui-monospace, monospace; }
button { font: inherit; color: var(--link); background: none; border: 1px solid var(--line);
  border-radius: .4rem; padding: .25rem .6rem; min-height: 2.2rem; cursor: pointer; }
button[aria-pressed=true] { background: var(--mark); font-weight: 600; }
button.plain { border: 0; padding: 0; min-height: 0; text-align: left; overflow-wrap: anywhere; }
nav { display: flex; flex-wrap: wrap; gap: .4rem; margin: .6rem 0; align-items: center; }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: .85rem; }
th, td { padding: .3rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: break-word; word-break: break-word; }
.short { white-space: nowrap; }
.place { min-width: 9rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.stuck td:first-child, tr.stuck td:first-child button { color: var(--alarm); font-weight: 600; }
tr.runs td:first-child, tr.runs td:first-child button { color: var(--runs); font-weight: 600; }
@media (max-width: 48rem) {
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table, tbody, tr, td { display: block; }
  tr { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; padding: .3rem; }
  td { border: 0; padding: .15rem .3rem; display: grid; grid-template-columns: 6rem 1fr; }
  td::before { content: attr(data-label); color: var(--soft); }
  td:empty { display: none; }
  .number { text-align: left; white-space: normal; }
  .place { min-width: 0; }
}
]]

local SCRIPT <const> = [==[
"use strict";
const query = new URLSearchParams(location.search), token = query.get("token");
const main = document.querySelector("main");
const INTERVAL_MS = 1000, LEAST_MS = 250, LIST_MS = 5000;
let pid = Number(query.get("pid")) || null, sort = "age", why = null, timer = null, shown = 0;

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  if (className) element.className = className;
  return element;
}

async function get(path, method) {
  const response = await fetch(path, { method: method || "GET", headers: { "x-token": token } });
  const data = await response.json();
  if (!response.ok) throw new Error(data.error || response.statusText);
  return data;
}

function seconds(n) {
  if (n === undefined || n === null) return "";
  if (n === 0) return "0 s";
  if (n < 1e-3) return Math.round(n * 1e6) + " µs";
  if (n < 1) return (n * 1e3).toPrecision(3) + " ms";
  if (n < 100) return n.toPrecision(3) + " s";
  if (n < 7200) return Math.round(n / 60) + " min";
  if (n < 172800) return Math.round(n / 3600) + " h";
  return Math.round(n / 86400) + " days";
}

function label(job) {
  return "#" + job.id + (job.name ? " " + job.name : "");
}

function table(columns, rows) {
  const result = make("table"), head = make("tr"), body = make("tbody");
  for (const column of columns) head.append(make("th", column.name, column.style));
  result.append(make("thead"), body);
  result.firstChild.append(head);
  for (const row of rows) {
    const line = make("tr", null, row.className);
    for (const column of columns) {
      const cell = make("td", null, column.style), value = column.value(row);
      cell.dataset.label = column.name;
      if (value instanceof Node) cell.append(value); else cell.textContent = value ?? "";
      line.append(cell);
    }
    body.append(line);
  }
  return result;
}

function button(text, action, className) {
  const element = make("button", text, className);
  element.addEventListener("click", action);
  return element;
}

function follow(job, jobs) {
  const lines = [], seen = new Set();
  while (job && !seen.has(job.id)) {
    seen.add(job.id);
    lines.push("job " + label(job) + ": " + job.waits + (job.at ? " (" + job.at + ")" : ""));
    if (job.next && !jobs.get(job.next)) lines.push("job #" + job.next + ", which is not shown");
    job = jobs.get(job.next);
  }
  if (job) lines.push("job " + label(job) + " again: these wait for each other");
  return lines.join("\n");
}

async function cancel(job, loop) {
  if (!confirm("Cancel job " + label(job) + "?")) return;
  try {
    await get("/api/cancel?pid=" + pid + "&job=" + job.id
      + "&loop=" + loop.number, "POST");
  } catch (error) {
    alert(error.message);
  }
  refresh();
}

function queueText(queue) {
  const parts = queue.counted === undefined ? ["not counted yet"] : [queue.running + " running",
    queue.ready + " ready" + (queue.oldest > 1 ? " for up to " + seconds(queue.oldest) : ""),
    queue.scheduled + " scheduled", queue.dead + " dead"];
  if (queue.limit !== undefined || queue.here)
    parts.unshift(queue.here + (queue.limit ? " of at most " + queue.limit : "") + " here");
  if (queue.counted > 5) parts.push("counted " + seconds(queue.counted) + " ago");
  if (queue.paused) parts.push("paused");
  return "Queue " + queue.name + " of " + queue.store + ": " + parts.join(", ");
}

function loopView(loop, parts) {
  const jobs = new Map(loop.jobs.map(job => [job.id, job]));
  const running = jobs.get(loop.running);
  for (const circle of loop.circles) {
    const names = circle.concat(circle[0]).map(id => jobs.has(id) ? label(jobs.get(id)) : "#" + id);
    parts.push(make("p", "These jobs wait for each other: " + names.join(" → "), "alarm"));
  }
  if (running && (loop.outside || loop.held > 0.05)) {
    parts.push(make("p", "Job " + label(running) + " has run for " + seconds(loop.held) +
      " without a pause" + (loop.outside ? ", and does not answer" : ""), "alarm"));
    if (loop.traceback) parts.push(make("pre", loop.traceback));
  }
  parts.push(make("p", loop.schedulers.map(s => (s.name || "-") + ": " + s.active + " active" +
    (s.pending ? ", " + s.pending + " pending" : "") + (s.limit ? " of " + s.limit : "") +
    (s.paused ? ", paused" : "")).join("; "), "soft"));
  for (const queue of loop.queues) parts.push(make("p", queueText(queue), "soft"));
  const columns = [
    { name: "job", value: job => button(label(job), () => {
      why = why === job.id ? null : job.id;
      draw();
    }, "plain") },
    { name: "scheduler", value: job => (loop.schedulers[job.scheduler - 1] || {}).name },
    { name: "state", style: "short", value: job => job.state },
    { name: "age", style: "number", value: job => seconds(job.age) },
    { name: "ran", style: "number", value: job => seconds(job.ran) },
    { name: "ready", style: "number", value: job => seconds(job.ready) },
    { name: "runs", style: "number", value: job => job.resumes },
    { name: "waits for", value: job => {
      if (why !== job.id) return job.waits.replace(/^it (waits for )?/, "");
      const box = make("div");
      box.append(make("pre", follow(job, jobs)));
      if (loop.control) box.append(button("cancel", () => cancel(job, loop)));
      return box;
    } },
    { name: "at", style: "place", value: job => job.at },
  ];
  for (const job of loop.jobs)
    job.className = job.id === loop.running ? "runs" : job.stuck ? "stuck" : "";
  parts.push(table(columns, loop.jobs));
  if (loop.total > loop.jobs.length)
    parts.push(make("p", "and " + (loop.total - loop.jobs.length) + " more", "soft"));
}

let last = null;

function show(number) {
  pid = number;
  last = why = null;
  refresh();
}

function go(number) {
  history.pushState(null, "", "/?token=" + token + (number ? "&pid=" + number : ""));
  show(number);
}

addEventListener("popstate", () =>
  show(Number(new URLSearchParams(location.search).get("pid")) || null));

function drawProcess() {
  const parts = [], bar = make("nav");
  bar.append(button("← all processes", () => go(null)));
  for (const [key, text] of [["age", "oldest"], ["ran", "ran longest"], ["ready", "longest ready"],
      ["resumes", "most runs"]]) {
    const one = button(text, () => { sort = key; refresh(); });
    one.setAttribute("aria-pressed", sort === key);
    bar.append(one);
  }
  parts.push(make("h1", last.pid + " " + last.command), bar);
  for (const loop of last.loops) loopView(loop, parts);
  main.replaceChildren(...parts);
}

function drawList() {
  const columns = [
    { name: "process", value: row => button(row.pid, () => go(row.pid), "plain") },
    { name: "jobs", style: "number", value: row => row.jobs },
    { name: "state", style: "short", value: row => row.state },
    { name: "command", value: row => row.command },
  ];
  for (const row of last) row.className = row.state === "deadlock" ? "stuck" : "";
  main.replaceChildren(make("h1", "Processes with uvjobs"),
    last.length ? table(columns, last) : make("p", "There are none that you may ask.", "soft"));
}

function draw() {
  if (last) Array.isArray(last) ? drawList() : drawProcess();
}

async function refresh() {
  const number = ++shown, asked = pid, begun = Date.now();
  clearTimeout(timer);
  try {
    const data = await get(asked ? "/api/look?pid=" + asked + "&sort=" + sort : "/api/processes");
    if (number !== shown) return;
    last = data;
    draw();
  } catch (error) {
    if (number !== shown) return;
    const back = button("← all processes", () => go(null));
    main.replaceChildren(back, make("p", error.message, "alarm"));
  }
  // What changes just after the moment of a look is to be shown by the next one in time.
  const pause = Math.max(INTERVAL_MS - 2 * (Date.now() - begun), LEAST_MS);
  timer = setTimeout(refresh, asked ? pause : LIST_MS);
}

refresh();
]==]

local PAGE <const> = [[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>uvjobs</title>
<style nonce="%s">
%s</style>
</head>
<body>
<main><p class="soft">Looking…</p></main>
<script nonce="%s">
%s</script>
</body>
</html>
]]

--- The page.
---@param nonce string what its style and script are allowed by
---@return string html
return function(nonce)
  return PAGE:format(nonce, STYLE, nonce, SCRIPT)
end
