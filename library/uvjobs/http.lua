---@meta uvjobs.http
-- luacheck: ignore 212 241

--- `require "uvjobs.http"`: web requests as jobs. It needs lua-http. docs/http.md describes it.
---@class uvjobs.http
local http = {}

--- Also takes the options of `uvjobs.scheduler`.
---@class uvjobs.HttpSetupOptions: uvjobs.SchedulerOptions
---@field scheduler? uvjobs.Scheduler an existing one to use; default a new one
---@field cancel_on_disconnect? boolean default true
---@field retry_after? number seconds; default 1
---@field header_timeout? number seconds or math.huge; default 10
---@field body_timeout? number seconds or math.huge; default 30
---@field request_timeout? number seconds or math.huge; default math.huge
---@field max_body? number bytes or math.huge; default 16 MiB
---@field stop_timeout? number seconds or math.huge; default 5
---@field on_end? fun(stream: table, status: string?, seconds: number, err: any)

--- Also takes the options of lua-http's `http.server.listen`.
---@class uvjobs.HttpServerOptions: uvjobs.HttpSetupOptions
---@field onstream string|fun(server: table, stream: table, data: any) or the name of a module
---@field data? any what the handler gets
---@field threads? integer 1 to 1024: in how many threads of its own it serves
---@field workers? uvjobs.Workers in whose threads it serves
---@field host? string default "127.0.0.1"
---@field port? integer 0 for one that is free
---@field path? string a Unix socket instead
---@field tls? boolean
---@field ctx? userdata|fun(index: integer): userdata a context of luaossl; in threads a function

---@class uvjobs.HttpFetchOptions
---@field method? string default "GET"
---@field headers? table<string, string>
---@field body? string
---@field timeout? number seconds or math.huge; default 60
---@field redirects? integer default 5
---@field max_body? number bytes or math.huge; default 16 MiB
---@field version? 1|1.1|2
---@field ctx? userdata a context of luaossl
---@field proxy? string|false a URL

---@class uvjobs.HttpResponse
---@field status integer
---@field headers table<string, string> by names in lower case
---@field body string
---@field url string after redirects
---@field all_headers table lua-http's

--- Leaving the block of a to-be-closed variable stops it.
---@class uvjobs.HttpServer
---@field scheduler? uvjobs.Scheduler nil in threads
---@field server? table lua-http's; nil in threads
---@field workers? uvjobs.Workers in whose threads it serves
local HttpServer = {}

---@return integer port
function HttpServer:port() end

---@return string address or the path
---@return integer? port
function HttpServer:address() end

---@param path? string default "/"
---@return string url
function HttpServer:url(path) end

--- Suspends until somebody closes the server.
---@async
function HttpServer:wait() end

--- Stops the server, and suspends until all requests have ended.
---@async
function HttpServer:close() end

--- Listens, and serves in a job of its own.
--- Errors: misuse; that it cannot listen.
---@async
---@param options uvjobs.HttpServerOptions
---@return uvjobs.HttpServer
function http.server(options) end

--- Sends a whole response.
---@async
---@param stream table
---@param status integer|string
---@param body? string
---@param headers? table
---@return true? sent
---@return string? message
---@return integer? code of `errno`
function http.respond(stream, status, body, headers) end

--- Sends a request, and reads the whole response.
---@async
---@param url string
---@param options? uvjobs.HttpFetchOptions
---@return uvjobs.HttpResponse? response
---@return string? message
---@return "timeout"|"limit"|"redirects"|"network"|nil code
function http.fetch(url, options) end

--- Makes every request to a server of lua-http a job. Does not suspend.
---@param server table
---@param options? uvjobs.HttpSetupOptions
---@return uvjobs.Scheduler
function http.setup(server, options) end

--- Runs a server that was set up, until it is closed or the job is cancelled.
---@async
---@param server table
function http.serve(server) end

--- `spawn` of the scheduler that belongs to the server of the stream.
---@async
---@param stream table
---@param ... any
---@return uvjobs.Job
function http.spawn(stream, ...) end

--- `shield` of the scheduler that belongs to the server of the stream.
---@async
---@param stream table
---@param ... any
---@return any ...
function http.shield(stream, ...) end

--- Makes a handler whose job is not cancelled when the client goes away. Does not suspend.
---@param handler fun(server: table, stream: table)
---@return fun(server: table, stream: table)
function http.atomic(handler) end

---@param stream table
---@return uvjobs.Scheduler
function http.get_scheduler(stream) end

---@param server table
---@return uvjobs.Scheduler
function http.get_scheduler_from_server(server) end

---@param stream table
---@return uvjobs.Scheduler
function http.get_scheduler_from_stream(stream) end

return http
