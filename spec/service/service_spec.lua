-- The threads behind stores: src/lua/service. The module that they run is given by package.path.

local base = require "spec.helper"
local core = require "uvjobs.core"
local files = require "spec.files"
local process = require "spec.process"
local uvjobs = require "uvjobs"

-- A module with this text, under a name of its own; returns the name. Its directory is searched.
local function module_of(text)
  local path = files.temporary(text)
  local directory, name = path:match "^(.*)/([^/]*)$"
  os.rename(path, path .. ".lua")
  package.path = directory .. "/?.lua;" .. package.path
  return name, function() os.remove(path .. ".lua") end
end

-- Answers each request with itself, and what it was begun with; "wait" waits, "fail" fails.
local ECHO <const> = [[
return function(mailbox, argument)
  while not mailbox:ends() do
    mailbox:wait(nil, 60)
    for id, value in function() return mailbox:receive() end do
      if value == "fail" then error "it failed" end
      if value == "big" then value = ("x"):rep(1000000) end
      mailbox:answer(id, { argument, value })
    end
  end
end
]]

describe("a service", function()
  local name, remove
  local path = package.path

  setup(function() name, remove = module_of(ECHO) end)
  teardown(function()
    remove()
    package.path = path
  end)
  after_each(base.check_clean)

  -- Makes a service; returns it, and ask(value), which waits for the answer.
  local function make(argument)
    local waiting = {}
    local service = core.service(name, argument, function(id, answer)
      local resume = waiting[id]
      waiting[id] = nil
      if resume then resume(answer) end
    end)
    return service, function(value)
      return uvjobs.await(function(resume) waiting[service:ask(value)] = resume end)
    end
  end

  it("answers with copies, in its own Lua state", base.in_run(function()
    local service, ask = make { 7 }
    assert.same({ { 7 }, { a = { 1, 2.5, "x", true } } }, ask { a = { 1, 2.5, "x", true } })
    assert.same({ { 7 } }, ask(nil))
    assert.equal(1000000, #ask("big")[2])
    service:close()
  end))

  it("answers many requests, in order", base.in_run(function()
    local service, ask = make()
    local results = uvjobs.map((function()
      local list = {}
      for i = 1, 1000 do list[i] = i end
      return list
    end)(), function(i) return ask(i)[2] end, { limit = 1000 })
    for i = 1, 1000 do assert.equal(i, results[i]) end
    service:close()
  end))

  it("refuses what cannot be copied, and goes on", base.in_run(function()
    local service, ask = make()
    assert.has_error(function() ask(print) end)
    assert.has_error(function() ask { function() end } end)
    assert.equal(1, ask(1)[2])
    service:close()
  end))

  it("answers with a text when its function has failed", base.in_run(function()
    local service, ask = make()
    service:ask "fail"
    local answer = ask(1)
    assert.matches("it failed", answer)
    assert.matches("stack traceback", answer)
    assert.matches("it failed", ask(2))
    service:close()
  end))

  it("says so when its module is not there", base.in_run(function()
    local heard = uvjobs.queue()
    local service = core.service("no.such.module", nil, function(_, answer)
      heard:try_put(answer)
    end)
    service:ask(1)
    assert.matches("module 'no.such.module' not found", heard:get())
    service:close()
  end))

  it("can be closed twice, and then refuses to be asked", base.in_run(function()
    local service = make()
    service:ask(1)
    service:close()
    service:close()
    assert.matches("the service is closed", base.message(service.ask, service, 1))
    assert.matches("the service is closed", base.message(service.withdraw, service, 1))
    assert.has_error(function() service.ask(print, 1) end)
  end))

  it("is ended when nothing refers to it", base.in_run(function()
    for _ = 1, 5 do make(("x"):rep(1000)) end
    collectgarbage()
    collectgarbage()
  end))

  it("takes back a request that was not received", base.in_run(function()
    local service, ask = make()
    local id = service:ask(1)
    local was_taken = not service:withdraw(id)
    assert.is_false(service:withdraw(id + 100))
    assert.equal(2, ask(2)[2])
    assert.is_boolean(was_taken)
    service:close()
  end))

  it("is heard when a busy job has noted that it has answered", function()
    local loud, remove_loud = module_of [[
      return function(mailbox)
        while not mailbox:ends() do
          mailbox:wait(nil, 0.001)
          mailbox:answer(0, "unasked")
          for id, value in function() return mailbox:receive() end do mailbox:answer(id, value) end
        end
      end
    ]]
    uvjobs.run(function()
      local waiting = {}
      local service = core.service(loud, nil, function(id, answer)
        if id ~= 0 then waiting[id](answer) end
      end)
      for i = 1, 20 do
        base.burn(0.03) -- long enough to be looked at
        assert.equal(i, uvjobs.await(function(resume) waiting[service:ask(i)] = resume end))
      end
      service:close()
    end)
    remove_loud()
  end)

  it("keeps a run from being stuck while it is asked", base.in_run(function()
    local service, ask = make()
    for _ = 1, 50 do ask(1) end
    service:close()
  end))

  it("begins in a job only", function()
    local result = process.run(([[
      package.path = %q .. package.path
      local core = require "uvjobs.core"
      require "uvjobs"
      print(pcall(core.service, %q, nil, print))
    ]]):format(package.path:match "^[^;]*;", name))
    assert.matches("a service begins in a job", result.out)
  end)

  it("ends with the Lua state, also in the middle of requests", function()
    local result = process.run(([[
      package.path = %q .. package.path
      local uvjobs, core = require "uvjobs", require "uvjobs.core"
      uvjobs.run(function()
        kept = core.service(%q, nil, function() end)
        for i = 1, 1000 do kept:ask(i) end
      end)
      print "left"
    ]]):format(package.path:match "^[^;]*;", name))
    assert.same({ 0, "left\n", "" }, { result.status, result.out, result.err })
  end)

  it("raises the error of on_answer out of run", function()
    local ok, err = pcall(uvjobs.run, function()
      local service = core.service(name, nil, function() error("no", 0) end)
      service:ask(1)
      uvjobs.sleep(60)
    end)
    assert.is_false(ok)
    assert.equal("no", err)
  end)
end)
