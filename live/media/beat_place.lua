-- A media process says that it is at work, and renews its rooms, by Redis' clock.
-- KEYS: seen, load, known, leases, owners, fence.
-- ARGV: process, its description, its load, time-out (ms), '1' the first time, room, fence, room, fence, ...
-- Gives the rooms among them that another process carries now: their fence is an old one, and this process must let go of them.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local me, until_ms = ARGV[1], now_ms + ARGV[4]
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms - ARGV[4], 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[1], gone)
  redis.call('ZREM', KEYS[2], gone)
  redis.call('HDEL', KEYS[3], gone)
end
if ARGV[5] == '1' then
  -- Who was known at our address is dead, or we could not have it: its rooms need not wait for the time-out.
  local address = cjson.decode(ARGV[2]).peer_url
  local known = redis.call('HGETALL', KEYS[3])
  for at = 1, #known, 2 do
    local is_read, other = pcall(cjson.decode, known[at + 1])
    if known[at] ~= me and is_read and other.peer_url == address then
      redis.call('ZREM', KEYS[1], known[at])
      redis.call('ZREM', KEYS[2], known[at])
      redis.call('HDEL', KEYS[3], known[at])
    end
  end
end
redis.call('ZADD', KEYS[1], now_ms, me)
redis.call('ZADD', KEYS[2], ARGV[3], me)
redis.call('HSET', KEYS[3], me, ARGV[2])
local lost = {}
for at = 6, #ARGV, 2 do
  local room, mine = ARGV[at], me .. ' ' .. ARGV[at + 1]
  local owner = redis.call('HGET', KEYS[5], room)
  if owner == mine or not owner then
    -- Nobody's: the lease ran out while this process was slow, or Redis has forgotten. Whoever takes it later gets a higher fence.
    redis.call('HSET', KEYS[5], room, mine)
    redis.call('ZADD', KEYS[4], until_ms, room)
    local fence = tonumber(redis.call('GET', KEYS[6]) or '0')
    if fence < tonumber(ARGV[at + 1]) then redis.call('SET', KEYS[6], ARGV[at + 1]) end
  else
    lost[#lost + 1] = room
  end
end
for _, room in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now_ms, 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[4], room)
  redis.call('HDEL', KEYS[5], room)
end
return lost
