-- The argument of durable.open for PostgreSQL: a connection string as libpq knows it. It is checked
-- before it is used, so that what is wrong with it is named, and its password is kept out of
-- messages.

local location = {}

-- The parameters of libpq that may follow the question mark. Those that the store sets itself are
-- not among them.
local KNOWN <const> = {}
for name in ([[application_name channel_binding connect_timeout dbname gssencmode gsslib host
  hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname
  load_balance_hosts passfile password port require_auth requirepeer service
  ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl
  sslcrldir sslkey sslmode sslpassword sslrootcert sslsni target_session_attrs tcp_user_timeout
  user]]):gmatch "%S+" do KNOWN[name] = true end

local TIMEOUT <const> = 5 -- seconds, to connect
local LONGEST <const> = 60

local function words_of(text)
  local words = {}
  local query = text:match "%?(.*)$" or ""
  for word in query:gmatch "[^&]+" do
    local name, value = word:match "^([^=]*)=(.*)$"
    words[#words + 1] = { name or word, value }
  end
  return words
end

--- What is wrong with a connection string, or nil.
---@param text string
---@param did_you_mean fun(name: string, known: table): string
---@return string?
function location.problem(text, did_you_mean)
  if not text:find "^postgres://" and not text:find "^postgresql://" then
    return "'postgres://USER@HOST:PORT/DATABASE' expected"
  end
  if text:find "[%z\1-\32]" then return "a connection string has no spaces: write %20" end
  for at in text:gmatch "%%()" do
    if not text:find("^%x%x", at) then
      return "in a connection string two hexadecimal digits follow a '%': write %25"
    end
  end
  for _, word in ipairs(words_of(text)) do
    if not word[2] then
      return ("in a connection string '=' and a value follow '%s'"):format(word[1])
    elseif not KNOWN[word[1]] then
      return ("unknown option '%s' in the connection string%s"):format(word[1],
        did_you_mean(word[1], KNOWN))
    end
  end
end

local function decoded(text)
  return (text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

-- The texts that no message may have: the passwords, as they are written and as they are meant.
local function secrets_of(text)
  local secrets = {}
  local function add(secret)
    if secret and secret ~= "" then
      secrets[#secrets + 1] = secret
      secrets[#secrets + 1] = decoded(secret)
    end
  end
  local authority = text:match "^%w+://([^/?]*)" or ""
  add(authority:match "^[^:@]*:(.*)@")
  for _, word in ipairs(words_of(text)) do
    if word[1] == "password" or word[1] == "sslpassword" then add(word[2]) end
  end
  return secrets
end

--- A function that takes the passwords out of a message.
---@param text string
---@return fun(message: string): string
function location.censor(text)
  local secrets = secrets_of(text)
  return function(message)
    message = message:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
    for _, secret in ipairs(secrets) do
      message = message:gsub(secret:gsub("%p", "%%%0"), "***")
    end
    return message
  end
end

--- In how many seconds a connection must be there.
function location.timeout(text)
  for _, word in ipairs(words_of(text)) do
    local seconds = word[1] == "connect_timeout" and tonumber(word[2])
    if seconds and seconds > 0 then return math.min(seconds, LONGEST) end
  end
  return TIMEOUT
end

return location
