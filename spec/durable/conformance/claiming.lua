local durable = require "spec.durable.helper"
local uvjobs = require "uvjobs"

-- Claims `n` tasks one by one, and returns their ids.
local function claim_one_by_one(store, process, n, want)
  local ids = {}
  for _ = 1, n do
    local rows = durable.claim(store, process, 1, want)
    ids[#ids + 1] = rows[1] and rows[1].id
  end
  return ids
end

return function(kind)
  it("claims the most urgent first, then the earliest, then by id #D13", durable.with_store(kind,
    function(store)
      local process = durable.join(store)
      local ids = {}
      for i, fields in ipairs {
        { priority = 5 }, { priority = 0 }, { priority = 9 }, { priority = 5, date = 1000 },
        { priority = 5, date = 1000 }, { priority = 0, date = 5 }, { priority = 5, date = 999 },
      } do
        ids[i] = durable.put(store, fields)
      end
      assert.same({ ids[6], ids[2], ids[7], ids[4], ids[5], ids[1], ids[3] },
        claim_one_by_one(store, process, 8))
      store:_call { op = "leave", process = process }
    end))

  it("claims the same in one claim of many #D13", durable.with_store(kind, function(store)
    local process = durable.join(store)
    for i = 1, 60 do durable.put(store, { priority = i * 7 % 10 }) end
    local rows = durable.claim(store, process, 50)
    assert.equal(50, #rows)
    for i = 2, #rows do
      local before, row = rows[i - 1], rows[i]
      assert.is_true(before.priority < row.priority or
        before.priority == row.priority and before.id < row.id)
    end
    store:_call { op = "leave", process = process }
  end))

  it("counts a task that waits as more urgent with 'aging' #D13 #P15", durable.with_store(kind,
    function(store)
      local process = durable.join(store)
      local now = uvjobs.time() * 1e6 // 1 | 0
      local old = durable.put(store, { priority = 7, date = now - 3000000 }) -- counts as 4
      local new = durable.put(store, { priority = 5 })
      local urgent = durable.put(store, { priority = 3 })
      local ancient = durable.put(store, { priority = 9, date = 1000 }) -- as 0
      assert.same({ ancient, urgent, old, new },
        claim_one_by_one(store, process, 4, { aging = 1000000 }))
      store:_call { op = "leave", process = process }
    end))

  it("makes a scheduled task ready when it is due #D14", durable.with_store(kind, function(store)
    local process, unit = durable.join(store), durable.unit(kind)
    durable.put(store, { delay = unit * 1000000 // 1 | 0 })
    local rows, result = durable.claim(store, process)
    assert.equal(0, #rows)
    assert.is_true(result.delay > 0 and result.delay <= unit * 1000000)
    uvjobs.sleep(result.delay / 1e6 + 0.001)
    rows, result = durable.claim(store, process)
    assert.equal(1, #rows)
    assert.is_nil(result.delay)
    store:_call { op = "leave", process = process }
  end))

  it("takes only the kinds that it is asked for, behind many others #D13", durable.with_store(kind,
    function(store)
      local others, wanted = { "mail", "mail.send.now", "send", "mail.send\31x", "x\31" }, {}
      for i = 1, 200 do durable.put(store, { kind = others[i % #others + 1] }) end
      for i = 1, 2 do wanted[i] = durable.put(store, { kind = i == 1 and "mail.send" or "ü'%" }) end
      local rows = durable.claim(store, durable.join(store), 10, { kinds = { "mail.send", "ü'%" } })
      assert.same(wanted, durable.ids(rows))
    end))

  it("takes no more of a key than its limit, and what is behind them #D15", durable.with_store(kind,
    function(store)
      local process = durable.join(store)
      -- The database has one live task of a kind and key, so each is of a kind of its own.
      local kinds, ids = {}, {}
      for i = 1, 6 do
        kinds[i] = "kind " .. i
        ids[i] = durable.put(store, { kind = kinds[i], key = i <= 4 and "a" or "b" })
      end
      local rows = durable.claim(store, process, 10, { kinds = kinds, key_limit = 2 })
      assert.same({ ids[1], ids[2], ids[5], ids[6] }, durable.ids(rows))
      rows = durable.claim(store, process, 10, { kinds = kinds, key_limit = 2, keys = { a = 1 } })
      assert.same({ ids[3] }, durable.ids(rows))
      store:_call { op = "leave", process = process }
    end))

  it("takes only kinds that it is asked for, and only of the queue", durable.with_store(kind,
    function(store)
      local process = durable.join(store)
      durable.put(store, { kind = "other" })
      durable.put(store, { queue = "other" })
      assert.equal(0, #durable.claim(store, process, 10))
      assert.equal(1, #durable.claim(store, process, 10, { queue = "other" }))
      assert.equal(1, #durable.claim(store, process, 10, { kinds = { "kind", "other" } }))
      store:_call { op = "leave", process = process }
    end))

  it("gives a task to one process only #D7", durable.with_store(kind, function(store)
    local first, second = durable.join(store), durable.join(store)
    assert.not_equal(first, second)
    for _ = 1, 10 do durable.put(store) end
    local seen = {}
    for _ = 1, 10 do
      for _, process in ipairs { first, second } do
        for _, row in ipairs(durable.claim(store, process, 1)) do
          assert.is_nil(seen[row.id])
          assert.equal(process, row.process)
          seen[row.id] = true
        end
      end
    end
    store:_call { op = "leave", process = first }
    store:_call { op = "leave", process = second }
  end))

  it("takes names as they are, whatever they contain", durable.with_store(kind, function(store)
    local process = durable.join(store)
    local odd = "'; DROP TABLE task; -- \"\\ %_\u{e4}"
    durable.put(store, { kind = odd, queue = odd, key = odd })
    local rows = durable.claim(store, process, 1, { kinds = { odd }, queue = odd })
    assert.same({ odd, odd, odd }, { rows[1].kind, rows[1].queue, rows[1].key })
    store:_call { op = "leave", process = process }
  end))
end
