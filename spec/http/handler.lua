--- A handler that is found by its name: it answers with the path.
local http = require "uvjobs.http"

return function(_, stream)
  http.respond(stream, 200, stream:get_headers():get ":path")
end
