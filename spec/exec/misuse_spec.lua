-- uvjobs.exec: bad arguments, and calls where it cannot suspend.
local uvjobs = require "uvjobs"
local helper = require "spec.helper"

local exec, message, in_run = uvjobs.exec, helper.message, helper.in_run

describe("exec", function()
  for _, case in ipairs {
    { "#1 to 'exec' (string expected, got nil)" },
    { "#1 to 'exec' (string expected, got number)", 1 },
    { "#1 to 'exec' (string without a zero byte expected)", "a\0b" },
    { "#2 to 'exec' (list of strings expected, got string)", "true", "x" },
    { "#2 to 'exec' (string expected as element 2, got number)", "true", { "x", 1 } },
    { "#2 to 'exec' (string without a zero byte expected as element 1)", "true", { "\0" } },
    { "#2 to 'exec' (list of strings expected, got a table with the key 'cwd')", "true",
      { cwd = "/" } },
    { "#3 to 'exec' (table expected, got string)", "true", {}, "x" },
    { "unknown option 'inputs', did you mean 'input'?", { inputs = "x" } },
    { "unknown option 'directory', known: cwd, env, ", { directory = "/" } },
    { "unknown option [1], known: cwd, env, ", { "x" } },
    { "option 'input': string or list of strings expected, got 5", { input = 5 } },
    { "option 'input': string as element 2 expected, got 5", { input = { "x", 5 } } },
    { "option 'input': string as element 1 expected, got table", { input = { {} } } },
    { "option 'input': string or list of strings expected, got table", { input = { x = "y" } } },
    { "option 'env': table of names to strings or false expected, got 'x'", { env = "x" } },
    { "option 'env': names without '=' and zero bytes expected, got the name 'A=B')",
      { env = { ["A=B"] = "x" } } },
    { "option 'env': names without '=' and zero bytes expected, got an empty name)",
      { env = { [""] = "x" } } },
    { "option 'env': string or false for 'A' expected, got boolean)", { env = { A = true } } },
    { "option 'env': string or false for 'PORT' expected, got 80)", { env = { PORT = 80 } } },
    { "option 'env': string without a zero byte for 'A' expected, got one that has it)",
      { env = { A = "x\0y" } } },
    { "option 'env': table of names to strings or false expected, got the key [1])",
      { env = { "A" } } },
    { "option 'cwd': string without a zero byte expected, got one that has it)",
      { cwd = "/tmp\0/x" } },
    { "option 'cwd': string expected, got 5", { cwd = 5 } },
    { "option 'on_stdout': function expected, got table", { on_stdout = {} } },
    { "option 'on_stderr': function expected, got boolean", { on_stderr = true } },
    { "options 'input' and 'stdin' exclude each other", { input = "", stdin = 0 } },
    { "options 'on_stdout' and 'stdout' exclude each other", { on_stdout = print, stdout = 1 } },
    { "options 'on_stderr' and 'stderr' exclude each other", { on_stderr = print, stderr = 1 } },
    { "option 'stdin': descriptor expected, got -1", { stdin = -1 } },
    { "option 'group': boolean expected, got 'yes'", { group = "yes" } },
    { "option 'stderr': descriptor or 'stdout' expected, got 'stdin'", { stderr = "stdin" } },
    { "option 'stdout': descriptor expected, got 'stderr'", { stdout = "stderr" } },
    { "options 'on_stderr' and 'stderr' exclude each other",
      { on_stderr = print, stderr = "stdout" } },
    { "option 'timeout': seconds >= 0 or math.huge expected, got -1", { timeout = -1 } },
    { "option 'timeout': seconds >= 0 or math.huge expected, got nan", { timeout = 0 / 0 } },
    { "option 'timeout': seconds >= 0 or math.huge expected, got '1'", { timeout = "1" } },
    { "option 'kill_timeout': seconds >= 0 or math.huge expected, got -1", { kill_timeout = -1 } },
    { "option 'max_output': integer >= 0 or math.huge expected, got 1.5", { max_output = 1.5 } },
    { "option 'max_output': integer >= 0 or math.huge expected, got -1", { max_output = -1 } },
  } do
    it("is told of misuse: " .. case[1], in_run(function()
      local expected, args = case[1], table.pack(table.unpack(case, 2))
      if type(args[1]) == "table" then
        expected, args = "#3 to 'exec' (" .. expected, { "true", nil, args[1], n = 3 }
      end
      local text = message(exec, table.unpack(args, 1, args.n))
      assert.equal("bad argument " .. expected, text:sub(1, #expected + 13))
    end))
  end

  it("must be called where it can suspend", function()
    assert.equal("'exec' must be called in a job: use uvjobs.run", message(exec, "true"))
    uvjobs.run(function()
      assert.equal("'exec' must be called in a job: use uvjobs.coroutine",
        message(coroutine.wrap(exec), "true"))
      assert.equal("'exec' cannot suspend across a C call",
        message(table.sort, { 1, 2 }, function() exec "true" end))
      local wrapped = require "uvjobs.coroutine".wrap(exec)
      assert.equal(0, wrapped("true").code)
    end)
  end)
end)
