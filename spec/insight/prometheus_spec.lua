-- insight.prometheus().

local core = require "uvjobs.core"
local helper = require "spec.helper"
local insight = require "uvjobs.insight"
local policy = require "uvjobs.policy"
local uvjobs = require "uvjobs"

local has_promtool = os.execute "command -v promtool >/dev/null 2>&1"

--- What promtool says of a text: nil, or why it does not pass.
local function check(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  local pipe = assert(io.popen(("promtool check metrics <%s 2>&1"):format(path)))
  local said = pipe:read "a"
  local ok = pipe:close()
  os.remove(path)
  return not ok and said or nil
end

--- The values by series, and how many series each metric has.
local function parse(text)
  local values, counts, metric = {}, {}, nil
  for line in text:gmatch "[^\n]+" do
    metric = line:match "^# TYPE ([%w_]+)" or metric
    if line:sub(1, 1) ~= "#" then
      local series, value = line:match "^(.+) (%S+)$"
      assert.is_nil(values[series], "twice: " .. series)
      values[series] = tonumber(value)
      counts[metric] = (counts[metric] or 0) + 1
    end
  end
  return values, counts
end

local function run(fn)
  return uvjobs.run({ stats = true, clock = "virtual" }, fn)
end

describe("insight.prometheus", function()
  after_each(helper.check_clean)

  it("passes promtool, whatever the names are #I13", function()
    if not has_promtool then return pending "promtool is not installed" end
    assert.is_nil(check(insight.prometheus()))
    run(function()
      local _ <const> = policy.retry { name = 'a "retry"\\' }
      for _, name in ipairs { 'quo"te', "back\\slash", "two\nlines", "\xff\xfe", "ä", "",
                              ("x"):rep(999) } do
        local jobs <close> = helper.quiet { name = name }
        jobs:spawn(function() uvjobs.sleep(1) end):join()
        jobs:spawn(error, "no"):join()
        assert.is_nil(check(insight.prometheus()))
      end
    end)
  end)

  it("has what the scheduler has counted and measured", function()
    run(function()
      local jobs <close> = helper.quiet { name = "metered", limit = 1 }
      for _ = 1, 3 do jobs:spawn(uvjobs.sleep, 1) end
      jobs:spawn(error, "no")
      uvjobs.sleep(1.5)
      local values = parse(insight.prometheus())
      assert.equal(4, values['uvjobs_jobs_spawned_total{scheduler="metered"}'])
      assert.equal(1, values['uvjobs_jobs_ended_total{scheduler="metered",state="done"}'])
      assert.equal(1, values['uvjobs_jobs_active{scheduler="metered"}'])
      assert.equal(2, values['uvjobs_jobs_pending{scheduler="metered"}'])
      jobs:wait_idle()
      values = parse(insight.prometheus())
      assert.equal(1, values['uvjobs_jobs_ended_total{scheduler="metered",state="failed"}'])
      local wait = "uvjobs_job_wait_seconds"
      assert.equal(4, values[wait .. '_count{scheduler="metered"}'])
      assert.equal(1, values[wait .. '_bucket{scheduler="metered",le="0.004096"}'])
      assert.equal(2, values[wait .. '_bucket{scheduler="metered",le="1.048576"}'])
      assert.equal(4, values[wait .. '_bucket{scheduler="metered",le="4.194304"}'])
      assert.equal(4, values[wait .. '_bucket{scheduler="metered",le="+Inf"}'])
      assert.is_true(math.abs(values[wait .. '_sum{scheduler="metered"}'] - 6) < 1e-6)
    end)
  end)

  it("counts schedulers of a name together, also those that were collected #I10", function()
    run(function()
      for i = 1, 50 do
        local jobs <close> = uvjobs.scheduler { name = "of each request" }
        jobs:spawn(function() end):join()
        if i % 10 == 0 then
          collectgarbage()
          local values = parse(insight.prometheus())
          assert.equal(i, values['uvjobs_jobs_spawned_total{scheduler="of each request"}'])
          assert.equal(i, values['uvjobs_job_run_seconds_count{scheduler="of each request"}'])
        end
      end
    end)
  end)

  it("tells totals that do not become less when schedulers are added up #I10", function()
    local totals = core.totals
    local _ <close> = setmetatable({}, { __close = function() core.totals = totals end })
    local function told(...)
      local list = {}
      for i, tenths in ipairs { ... } do
        local times = { sum = tenths / 10 }
        for bucket = 1, 16 do times[bucket] = bucket == 9 and tenths or 0 end
        list[i] = {
          name = "rounded", active = 0, pending = 0, done = tenths, failed = 0, cancelled = 0,
          killed = 0, cpu_ns = tenths * 100000000, waited = times, ran = times, lateness = times,
        }
      end
      core.totals = function() return list end
      return (parse(insight.prometheus()))
    end
    assert.is_true(0.1 + 0.2 > 0.3)
    local apart, together, grown = told(1, 2), told(3), told(4)
    local sum = 'uvjobs_job_wait_seconds_sum{scheduler="rounded"}'
    local cpu = 'uvjobs_cpu_seconds_total{scheduler="rounded"}'
    assert.equal(apart[sum], together[sum])
    assert.equal(0.4, grown[sum])
    assert.same({ 0.3, 0.3, 0.4 }, { apart[cpu], together[cpu], grown[cpu] })
  end)

  it("has a thousand series of each metric at most, and the rest in one #I13", function()
    run(function()
      local text, before
      for i = 1, 2500 do
        local jobs <close> = uvjobs.scheduler { name = "name " .. i }
        jobs:spawn(function() end):join()
        if i % 500 == 0 then
          text = insight.prometheus()
          local values, counts = parse(text)
          for metric, n in pairs(counts) do
            assert.is_true(n <= 1000, metric)
          end
          for series, value in pairs(before or {}) do
            if series:find "_total" or series:find "_count" then
              assert.is_true(values[series] >= value, series)
            end
          end
          before = values
        end
      end
      if has_promtool then assert.is_nil(check(text)) end
      assert.is_true(before['uvjobs_jobs_spawned_total{scheduler="other"}'] >= 1000)
    end)
  end)

  it("has the names and counts of policies", function()
    run(function()
      local patient = policy.retry { name = "patient", backoff = 1 }
      pcall(patient.call, patient, error, "no")
      local values = parse(insight.prometheus())
      assert.equal(2, values['uvjobs_policy_stat{policy="patient",kind="retry",stat="retried"}'])
    end)
  end)
end)
