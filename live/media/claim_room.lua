-- Who carries a room; when nobody does, the one who asks, or the least loaded one if that has clearly less to do.  By Redis' clock.
-- KEYS: seen, load, known, leases, owners, fence.  ARGV: process, room, time-out (ms), clear difference, load of a room.
-- Gives process, fence and description.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local me, room, timeout_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local lease = redis.call('ZSCORE', KEYS[4], room)
if lease and tonumber(lease) > now_ms then
  local owner, fence = string.match(redis.call('HGET', KEYS[5], room) or '', '^(%S+) (%d+)$')
  local description = owner and redis.call('HGET', KEYS[3], owner)
  if description then return {owner, fence, description} end
end
local chosen = me
local mine = tonumber(redis.call('ZSCORE', KEYS[2], me) or '0')
for _, other in ipairs(redis.call('ZRANGE', KEYS[2], 0, 9)) do
  local seen = redis.call('ZSCORE', KEYS[1], other)
  if seen and tonumber(seen) > now_ms - timeout_ms then
    if tonumber(redis.call('ZSCORE', KEYS[2], other)) + ARGV[4] < mine then chosen = other end
    break
  end
end
local fence = redis.call('INCR', KEYS[6])
redis.call('HSET', KEYS[5], room, chosen .. ' ' .. fence)
redis.call('ZADD', KEYS[4], now_ms + timeout_ms, room)
redis.call('ZINCRBY', KEYS[2], ARGV[5], chosen)
return {chosen, tostring(fence), redis.call('HGET', KEYS[3], chosen) or ''}
