--- Returns a function that makes a context of TLS for a server, with a certificate of its own.

-- Makes a certificate by the command openssl, because luaossl leaks memory when it makes one.
local function make_certificate()
  local path = os.tmpname()
  assert(os.execute(("env -u LD_PRELOAD openssl req -x509 -newkey rsa:2048 -nodes -days 1 " ..
    "-subj /CN=127.0.0.1 -keyout %s.key -out %s.crt 2>/dev/null"):format(path, path)))
  local function take(name)
    local file <close> = assert(io.open(name))
    os.remove(name)
    return file:read "a"
  end
  os.remove(path)
  return take(path .. ".key"), take(path .. ".crt")
end

--- The server speaks HTTP/2 with clients that know it.
return function()
  local key, certificate = make_certificate()
  key = require "openssl.pkey".new(key)
  certificate = require "openssl.x509".new(certificate)
  local context = require "http.tls".new_server_context()
  context:setPrivateKey(key)
  context:setCertificate(certificate)
  context:setAlpnSelect(function(_, protocols)
    for _, protocol in ipairs(protocols) do
      if protocol == "h2" then return protocol end
    end
    return nil
  end)
  return context
end
