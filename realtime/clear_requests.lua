-- Items that were shown, or are gone: who asked for them may ask again.  Gives 1 when there was something to clear.
-- KEYS: requests (hash: item -> "count:since_ms", and "version"), then per item who asked for it (set).  ARGV: the items
if redis.call('HDEL', KEYS[1], unpack(ARGV)) == 0 then return 0 end
redis.call('DEL', unpack(KEYS, 2))
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local version = math.max(now, tonumber(redis.call('HGET', KEYS[1], 'version') or 0) + 1)
redis.call('HSET', KEYS[1], 'version', string.format('%.0f', version))
return 1
