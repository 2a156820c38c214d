-- Where lua-http is found.
local process = require "spec.process"
local web = require "spec.http.helper"
local uvjobs = require "uvjobs"

describe("require 'uvjobs.cqueues'", function()
  after_each(web.check_clean)

  it("lets require find lua-http and what it needs, also on Debian", function()
    uvjobs.run(function()
      local result = assert(uvjobs.exec(process.interpreter(), { "-e",
        [[require "uvjobs.cqueues" print(type(require "http.request".new_from_uri))]] }))
      assert.equal("function\n", result.stdout)
    end)
  end)
end)
