-- The command `uvjobs queue`.

if not pcall(require, "uvjobs.store.sqlite") then return end

local base = require "spec.helper"
local durable = require "spec.durable.helper"
local stores = require "spec.durable.stores"
local process = require "spec.process"
local uvjobs = require "uvjobs"

describe("uvjobs queue", function()
  local path

  -- What the command prints, and its exit status.
  local function queue(arguments, file)
    local pipe <close> = io.popen(("%s %s bin/uvjobs queue %s %s 2>&1 </dev/null"):format(
      process.GUARD, process.command(), process.quote(file or path), arguments))
    local text = pipe:read "a"
    local _, _, status = pipe:close()
    return text, status or 0
  end

  setup(function()
    path = stores.new_path()
    uvjobs.run(function()
      local store <close> = require "uvjobs.durable".open("sqlite:" .. path)
      durable.put(store, { kind = "mail.send", queue = "mail", args = '{"to":"a@b.c"}' })
      durable.put(store, { kind = "mail.read", queue = "mail", delay = 3600000000 })
      durable.put(store, { attempts = 1 })
      local me = durable.join(store)
      local row = durable.claim(store, me)[1]
      durable.settle(store, row, "dead", {
        reason = "failed",
        error = '{"at":1,"attempt":1,"message":"no such host","traceback":"stack"}',
      })
      store:_call { op = "leave", process = me }
    end)
  end)

  teardown(function() stores.remove(path) end)
  after_each(base.check_clean)

  it("counts tasks by queue and state", function()
    local text, status = queue ""
    assert.equal(0, status)
    assert.matches("\ndefault\t0\t0\t0\t0\t1\t0\t%-\n", text)
    assert.matches("\nmail\t1\t0\t1\t0\t0\t0\t[%d.]+ s\n0 processes\n$", text)
    local again = queue("stats", "sqlite:" .. path)
    assert.equal(text:gsub("[%d.]+ s", ""), again:gsub("[%d.]+ s", ""))
    assert.matches('"dead":1', (queue "--json"))
  end)

  it("lists tasks, and shows one", function()
    assert.equal(3, select(2, queue("list"):gsub("\n", "")))
    assert.matches("^2\tscheduled\tmail.read\tmail\t0/3\t", (queue "list --state=scheduled"))
    assert.matches("\tno such host\n$", (queue "list --kind='k*'"))
    local text = queue "show 1 3"
    assert.matches('task 1\n  kind       mail.send\n', text)
    assert.truthy(text:find('  args       {"to":"a@b.c"}\n', 1, true))
    assert.matches("attempt 1: no such host\n    stack\n", text)
    assert.matches('"id":1', (queue "show 1 --json"))
  end)

  it("retries and cancels by id and by filter", function()
    assert.equal("1 tasks\n", (queue "retry --state=dead"))
    assert.matches("^3\tready", (queue "list --kind=kind"))
    local text, status = queue "cancel 3 99"
    assert.equal(1, status)
    assert.matches("task 99: it has ended, or is not there", text)
    assert.matches("^3\tcancelled", (queue "list --kind=kind"))
  end)

  it("pauses, resumes and prunes", function()
    assert.equal("", (queue "pause mail"))
    assert.matches("\nmail\t.*\tpaused\n", (queue ""))
    assert.equal("", (queue "resume mail"))
    assert.not_matches("paused", (queue ""))
    assert.equal("0 tasks deleted\n", (queue "prune"))
    assert.equal("", (queue "schedules"))
  end)

  it("says what is wrong", function()
    for arguments, expected in pairs {
      ["lsit"] = "unknown command 'lsit', did you mean 'list'?",
      ["list --stat=dead"] = "unknown option '--stat', did you mean '--state'?",
      ["list --state=late"] = "option 'state': 'scheduled', 'ready'",
      ["list --limit=x"] = "option 'limit': integer >= 0",
      ["show"] = "an id is missing",
      ["show x"] = "id of a task expected, got 'x'",
      ["retry"] = "ids or filters are missing",
      ["pause"] = "the name of a queue is missing",
    } do
      local text, status = queue(arguments)
      assert.truthy(text:find(expected, 1, true), text)
      assert.is_true(status >= 1 and status <= 2)
    end
    local text, status = queue("", "/nonexistent/jobs.db")
    assert.equal("uvjobs: there is no file '/nonexistent/jobs.db'\n", text)
    assert.equal(1, status)
    text, status = queue("", "bin/uvjobs")
    assert.matches("file is not a database", text)
    assert.equal(1, status)
    assert.matches("^usage: uvjobs queue STORE", (queue "--help"))
  end)
end)
