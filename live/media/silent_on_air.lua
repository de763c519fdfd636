-- Rooms that no media process has spoken for lately.  KEYS: rooms on air.  ARGV: silence (ms), most rooms to give.
local now = redis.call('TIME')
local last_ms = now[1] * 1000 + math.floor(now[2] / 1000) - ARGV[1]
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', last_ms, 'LIMIT', 0, ARGV[2])
