-- insight.otlp with a server of ours in place of a collector.
require "spec.http.helper"
local helper = require "spec.helper"
local http = require "uvjobs.http"
local insight = require "uvjobs.insight"
local uvjobs = require "uvjobs"

-- Reads a request from standard input and prints what the fields of OTLP have.
local READ <const> = [[
import json, sys
resource, = json.load(sys.stdin)["resourceSpans"]
scope, = resource["scopeSpans"]
print(resource["resource"]["attributes"][0], scope["scope"]["name"])
for span in scope["spans"]:
    assert len(span["traceId"]) == 32 and len(span["spanId"]) == 16
    assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
    print(span["name"], span["kind"], span["status"])
]]

--- What python makes of a text.
local function read(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text) and file:flush())
  local pipe = assert(io.popen(("LD_PRELOAD= python3 -c '%s' <%s 2>&1"):format(READ, path)))
  local said = pipe:read "a"
  pipe:close()
  os.remove(path)
  return said
end

describe("insight.otlp", function()
  after_each(helper.check_clean)

  it("is understood by a server, and repeats what it refuses for now #I14", function()
    uvjobs.run(function()
      local got, answers = {}, { 503, 200 }
      local server <close> = http.server {
        port = 0, stop_timeout = 0.1,
        onstream = function(_, stream)
          local headers = assert(stream:get_headers())
          got[#got + 1] = { headers:get ":method", headers:get ":path", headers:get "content-type",
            headers:get "x-key", stream:get_body_as_string() }
          http.respond(stream, answers[#got], "{}")
        end,
      }
      local exporter = insight.otlp {
        url = server:url "/v1/traces", service = "shop", headers = { ["X-Key"] = "k" },
      }
      insight.span("good", { text = "ä\n\"", n = math.mininteger }, function() end)
      pcall(insight.span, "bad", nil, error, "no")
      exporter:close()
      assert.equal(2, exporter:stats().exported)
      assert.equal(2, #got)
      assert.same(got[1], got[2])
      assert.same({ "POST", "/v1/traces", "application/json", "k" },
        { table.unpack(got[1], 1, 4) })
      assert.equal(
        "{'key': 'service.name', 'value': {'stringValue': 'shop'}} uvjobs\n"
          .. "good 1 {}\nbad 1 {'code': 2, 'message': 'error'}\n", read(got[1][5]))
    end)
  end)
end)
