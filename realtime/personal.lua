-- Keep a personal message for a viewer who is away, and publish it to whichever hub has them.
-- KEYS: personal offset (string), personal stream.  ARGV: channel, viewer id, packed [type, data], most kept, kept for (s)
local offset = redis.call('INCR', KEYS[1])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], string.format('%d-1', offset), 'm', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[5])
redis.call('PUBLISH', ARGV[1], cmsgpack.pack({'personal', ARGV[2], offset, ARGV[3]}))
return offset
