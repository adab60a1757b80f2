-- The three jobs for nginx. Headers are taken one by one rather than as a table, and the buckets lie in a shared
-- dictionary as `resty.limit.req` keeps its own: one small struct a consumer, read and written through the FFI.
local ffi = require "ffi"

local jobs = {}

local LIMIT = @LIMIT@
local RATE = @LIMIT@ / @WINDOW@
local CONSUMERS = { ["key-of-alice"] = "alice", ["key-of-bob"] = "bob" }

ffi.cdef [[ struct bench_bucket { double tokens; double at; }; ]]
local bucket = ffi.new("struct bench_bucket")
local pointer = ffi.typeof("const struct bench_bucket *")
local size = ffi.sizeof("struct bench_bucket")

local buckets = ngx.shared.buckets
local var, header, req = ngx.var, ngx.header, ngx.req
local now, exit, print = ngx.now, ngx.exit, ngx.print

local function admitted(consumer)
    local time, tokens = now(), LIMIT
    local known = buckets:get(consumer)
    if known then
        local before = ffi.cast(pointer, known)
        tokens = math.min(LIMIT, before.tokens + (time - before.at) * RATE)
    end
    if tokens < 1 then
        return false
    end
    bucket.tokens, bucket.at = tokens - 1, time
    buckets:set(consumer, ffi.string(bucket, size))
    return true
end

local function refuse(status, title)
    local text = '{"title": "' .. title .. '", "status": ' .. status .. '}'
    ngx.status = status
    header["content-type"] = "application/problem+json"
    header["content-length"] = #text
    if status == 401 then
        header["www-authenticate"] = 'Key realm="api"'
    end
    print(text)
    return exit(status)
end

function jobs.access()
    local consumer = CONSUMERS[var.http_x_api_key]
    if not consumer then
        return refuse(401, "Unauthorized")
    end
    if not admitted(consumer) then
        return refuse(429, "Too Many Requests")
    end
    req.clear_header("x-api-key")
    req.clear_header("x-debug")
    req.set_header("x-consumer", consumer)
    req.set_header("x-seen-by", "gateway")
end

function jobs.header_filter()
    header["x-powered-by"] = nil
    header["x-served-by"] = "gateway"
end

return jobs
