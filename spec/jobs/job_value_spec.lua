-- A job keeps its function, its coroutine and its results in one place. What only few jobs have is
-- kept there, too.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local virtual = helper.virtual

describe("the results of a job", function()
  after_each(helper.check_clean)

  it("are the same whether it has a name or not, got before or after its end", function()
    virtual(function()
      local jobs <close> = uvjobs.scheduler()
      local cases = {
        {}, { n = 1 }, { false }, { 0 }, { "text" }, { n = 2 }, { nil, false, n = 2 }, { {} },
        { n = 200 },
      }
      for _, case in ipairs(cases) do
        local n = case.n or #case
        local function fn() return table.unpack(case, 1, n) end
        local before = jobs:spawn({ name = "before" }, fn)
        local plain, after = jobs:spawn(fn), jobs:spawn(fn)
        local expected = table.pack(plain:wait())
        assert.equal(n, expected.n)
        assert.same(expected, table.pack(before:wait()))
        after:join()
        after.name = "after"
        for i = 1, 20 do after.name = "after " .. i end
        assert.same(expected, table.pack(after:wait()))
        assert.same(expected, table.pack(after:wait()))
      end
    end)
  end)

  it("of a killed or cancelled job are one error, whenever it gets a name", function()
    virtual(function()
      local jobs <close> = helper.quiet()
      for _, stubborn in ipairs { false, true } do
        local job = jobs:spawn(function()
          repeat pcall(uvjobs.sleep, 1) until not stubborn
          uvjobs.sleep(1)
        end)
        uvjobs.yield()
        pcall(job.close, job)
        job.name = "late"
        local err = helper.raises(stubborn and "killed" or "cancelled", job.wait, job)
        job.name = "later"
        assert.equal(err, select(2, pcall(job.wait, job)))
      end
    end)
  end)
end)

describe("a job's coroutine", function()
  it("lives until it has ended, also when a hook collects garbage at its last return", function()
    local r = helper.child [[
      local uvjobs = require "uvjobs"
      local returns = 0
      local function collect()
        returns = returns + 1
        coroutine.wrap(function()
          collectgarbage()
          local new = {}
          for i = 1, 20 do new[i] = coroutine.create(print) end
        end)()
      end
      uvjobs.run(function()
        local jobs <close> = uvjobs.scheduler {
          limit = math.huge, exception_handler = function() end,
        }
        local all = {}
        for i = 1, 200 do
          all[i] = jobs:spawn(function()
            uvjobs.sleep(0.001)
            debug.sethook(collect, "r")
            if i % 3 == 0 then error("failed") end
            return i
          end)
        end
        for i = 1, 200 do
          local ok, value = pcall(all[i].wait, all[i])
          assert(ok == (i % 3 ~= 0) and (not ok or value == i))
        end
      end)
      print(returns > 200)
    ]]
    assert.same({ status = 0, out = "true\n", err = "" }, r)
  end)
end)
