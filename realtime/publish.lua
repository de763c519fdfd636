-- Number, append and publish in one atomic step: the order in Redis is the order everyone sees.
-- KEYS: meta (hash: epoch, offset), events (stream), values (hash: key -> "version:packed")
-- ARGV: channel, epoch to start with, history length, n, packed event * n, m, (key, version, packed) * m
-- Gives: epoch, offset after the last event.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  epoch = ARGV[2]
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'offset', 0)
end
local n = tonumber(ARGV[4])
local offset = tonumber(redis.call('HINCRBY', KEYS[1], 'offset', n))
local events = {}
for i = 1, n do
  events[i] = ARGV[4 + i]
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], string.format('%d-1', offset - n + i), 'e', ARGV[4 + i])
end
local at = 5 + n
local values = {}
for i = 1, tonumber(ARGV[at]) do
  local key, version, packed = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  at = at + 3
  local known = redis.call('HGET', KEYS[3], key)
  local known_version = known and tonumber(string.match(known, '^(%d+):')) or -1
  if tonumber(version) > known_version then
    redis.call('HSET', KEYS[3], key, version .. ':' .. packed)
    values[#values + 1] = key
    values[#values + 1] = version
    values[#values + 1] = packed
  end
end
if n > 0 or #values > 0 then
  redis.call('PUBLISH', ARGV[1], cmsgpack.pack({'room', epoch, offset - n + 1, events, values}))
end
return {epoch, offset}
