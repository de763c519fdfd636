-- Who carries a room, and all media processes at work, the least loaded first.  By Redis' clock.
-- KEYS: seen, load, known, leases, owners, fence.  ARGV: room, time-out (ms), most processes to give.
-- Gives the owner (or ''), then process, description, process, description, ...
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local owner = ''
local lease = redis.call('ZSCORE', KEYS[4], ARGV[1])
if lease and tonumber(lease) > now_ms then
  owner = string.match(redis.call('HGET', KEYS[5], ARGV[1]) or '', '^(%S+) ') or ''
end
local found = {owner}
for _, process in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local seen = redis.call('ZSCORE', KEYS[1], process)
  local description = redis.call('HGET', KEYS[3], process)
  if seen and tonumber(seen) > now_ms - ARGV[2] and description and #found < 2 * ARGV[3] then
    found[#found + 1] = process
    found[#found + 1] = description
  end
end
return found
