-- A media process lets go of rooms, so that another may have them at once.
-- KEYS: seen, load, known, leases, owners, fence.  ARGV: process, '1' when it ends, room, fence, room, fence, ...
local me = ARGV[1]
for at = 3, #ARGV, 2 do
  if redis.call('HGET', KEYS[5], ARGV[at]) == me .. ' ' .. ARGV[at + 1] then
    redis.call('HDEL', KEYS[5], ARGV[at])
    redis.call('ZREM', KEYS[4], ARGV[at])
  end
end
if ARGV[2] == '1' then
  redis.call('ZREM', KEYS[1], me)
  redis.call('ZREM', KEYS[2], me)
  redis.call('HDEL', KEYS[3], me)
end
return 0
