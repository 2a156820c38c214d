--- What the specs of cqueues share.
local cqueues_socket = require "cqueues.socket"
local helper = require "spec.helper"

local sockets = {}

--- Two connected sockets without buffering of output, and a value that closes both when its block
--- is left.
function sockets.pair()
  local left, right = cqueues_socket.pair()
  left:setmode("bn", "bn")
  right:setmode("bn", "bn")
  return left, right, helper.closing(function()
    left:close()
    right:close()
  end)
end

return sockets
