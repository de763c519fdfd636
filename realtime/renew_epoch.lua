-- Begin a new epoch when Redis has lost events that viewers have already seen (a failover, a crash before the disk was written).
-- KEYS: meta.  ARGV: the epoch found too short, the epoch to begin, channel.  Only the first hub to notice changes anything.
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'epoch', ARGV[2])
local offset = tonumber(redis.call('HGET', KEYS[1], 'offset') or 0)
redis.call('PUBLISH', ARGV[3], cmsgpack.pack({'room', ARGV[2], offset + 1, {}, {}}))
return 1
