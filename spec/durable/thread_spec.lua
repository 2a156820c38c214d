-- In which order the thread of a store performs what it is asked for while a transaction is open.
-- The engine and the mailbox are played.

local run = require "uvjobs.durable.thread"

-- An engine that notes what it performs, each call as one text.
local function new_engine(log)
  local engine, open = {}, nil
  function engine.perform(_, requests)
    local names, answers = {}, {}
    for i, request in ipairs(requests) do
      if request.op == "begin" then
        assert(not open, "there is a transaction already")
        open = 1
      elseif request.op == "commit" then
        open = nil
      else
        assert(not open or request.tx == open, "this is no part of the transaction")
      end
      names[i], answers[i] = request.name or request.op, { value = true }
    end
    log[#log + 1] = table.concat(names, " ")
    return answers
  end
  function engine.transaction() return open end
  function engine.fd() end
  function engine.idle() end
  function engine.close() end
  return engine
end

-- Runs the thread; each element of `batches` is a list of requests that come at once.
local function play(batches)
  local log, answers, at, place = {}, {}, 0, 1
  package.preload["spec.played"] = function()
    return { open = function() return new_engine(log) end }
  end
  table.insert(batches, 1, { { op = "open" } })
  local mailbox = {}
  function mailbox.ends() return at > #batches + 2 end
  function mailbox.wait() at, place = at + 1, 1 end
  function mailbox.receive()
    local request = batches[at] and batches[at][place]
    place = place + 1
    if request then return at * 100 + place, request end
  end
  function mailbox.answer(_, id, value) answers[id] = value end
  run(mailbox, { module = "spec.played" })
  package.preload["spec.played"], package.loaded["spec.played"] = nil, nil
  for _, answer in pairs(answers) do assert.is_table(answer, tostring(answer)) end
  return log
end

local function ask(name, tx) return { op = "enqueue", name = name, tx = tx } end

describe("the thread of a store", function()
  it("performs what comes behind a transaction that has waited when that is over #D2", function()
    assert.same({ "begin", "commit", "begin", "inside", "commit", "late" }, play {
      { { op = "begin" } }, { { op = "begin" } }, -- the second one waits
      { { op = "commit", tx = 1 } },
      { ask "late" }, -- comes when the second one may begin
      { ask("inside", 1) }, { { op = "commit", tx = 1 } },
    })
  end)

  it("performs at once what comes at once, up to a transaction #D2", function()
    assert.same({ "a b begin", "commit", "c d" }, play {
      { ask "a", ask "b", { op = "begin" }, ask "c" }, { { op = "commit", tx = 1 }, ask "d" },
    })
  end)
end)
