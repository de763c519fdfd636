-- Keep a personal message for a viewer who is away, and publish it to whichever hubs have them.
-- A message's number is the time in ms, or one above the last if that is later: so numbers still grow after Redis was emptied.
-- KEYS: the viewer's stream, newest numbers of the room (zset: viewer -> number), idempotency key (optional)
-- ARGV: channel, viewer id, packed [type, data], most kept, kept for (ms), repeats known for (ms)
if KEYS[3] then
  local known = redis.call('GET', KEYS[3])
  if known then return known end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[2]) or 0)
local number = string.format('%.0f', math.max(now, last + 1))
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[4], number .. '-1', 'm', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('ZADD', KEYS[2], number, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.0f', now - ARGV[5]))
redis.call('PEXPIRE', KEYS[2], ARGV[5])
if KEYS[3] then redis.call('SET', KEYS[3], number, 'PX', ARGV[6]) end
redis.call('PUBLISH', ARGV[1], cmsgpack.pack({'personal', ARGV[2], tonumber(number), ARGV[3]}))
return number
