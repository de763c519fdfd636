-- Number, append and publish in one atomic step: the order in Redis is the order everyone sees.
-- KEYS: meta (hash: epoch, offset), events (stream), values (hash: key -> "version:packed"), then one key per group with an idempotency key
-- ARGV: channel, epoch to start with, history length, repeats known for (ms), groups,
--       then per group: index of its idempotency key in KEYS or 0, n, packed event * n, m, (key, version, packed) * m
-- Gives: epoch, then per group the offset after its last event. A group whose idempotency key is known changes nothing
-- and is answered with the offset of its first time.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  epoch = ARGV[2]
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'offset', 0)
end
local offset = tonumber(redis.call('HGET', KEYS[1], 'offset') or 0)
local first = offset + 1
local answer = {epoch}
local events, values, comments = {}, {}, 0
local COMMENT = '\146\167comment' -- how msgpack begins ["comment", ...]
local at = 5
for group = 1, tonumber(ARGV[5]) do
  local once, n = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local m = tonumber(ARGV[at + 3 + n])
  local events_at, values_at = at + 2, at + 3 + n
  at = values_at + 3 * m
  local known = once > 0 and redis.call('GET', KEYS[once])
  if known then
    answer[group + 1] = tonumber(known)
  else
    for i = 1, n do
      offset = offset + 1
      local packed = ARGV[events_at + i]
      events[#events + 1] = packed
      if string.sub(packed, 1, 9) == COMMENT then comments = comments + 1 end
      redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], string.format('%.0f-1', offset), 'e', packed)
    end
    for i = values_at + 1, at, 3 do
      local key, version, packed = ARGV[i], ARGV[i + 1], ARGV[i + 2]
      local stored = redis.call('HGET', KEYS[3], key)
      local stored_version = stored and tonumber(string.match(stored, '^(%d+):')) or -1
      if tonumber(version) > stored_version then
        redis.call('HSET', KEYS[3], key, version .. ':' .. packed)
        values[#values + 1] = key
        values[#values + 1] = version
        values[#values + 1] = packed
      end
    end
    if once > 0 then redis.call('SET', KEYS[once], string.format('%.0f', offset), 'PX', ARGV[4]) end
    answer[group + 1] = offset
  end
end
if #events > 0 then redis.call('HSET', KEYS[1], 'offset', string.format('%.0f', offset)) end
if comments > 0 then redis.call('HINCRBY', KEYS[1], 'comments', comments) end
if #events > 0 or #values > 0 then
  redis.call('PUBLISH', ARGV[1], cmsgpack.pack({'room', epoch, first, events, values}))
end
return answer
