-- A viewer asks to see an item: counted once per viewer until it is shown.
-- KEYS: requests (hash: item -> "count:since_ms", and "version"), who asked for this item (set), what may be asked for (set),
--       values (hash), muted (hash), banned (set), rate window of the viewer, rate window of the address
-- ARGV: viewer id, item, "0" for one who isn't counted, window (ms), allowed per viewer, allowed per address, most viewers kept per item
-- Gives: {code, wait in ms, count, now (ms), 1 when the count is another}; code "ok" lets it through.
if redis.call('SISMEMBER', KEYS[6], ARGV[1]) == 1 then return {'banned', 0} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local muted_until = tonumber(redis.call('HGET', KEYS[5], ARGV[1]) or 0)
if muted_until > now then return {'muted', muted_until - now} end
for i = 7, 8 do
  local used = redis.call('INCR', KEYS[i])
  if used == 1 then redis.call('PEXPIRE', KEYS[i], ARGV[4]) end
  if used > tonumber(ARGV[i - 2]) then return {'rate_limited', redis.call('PTTL', KEYS[i])} end
end
if redis.call('SISMEMBER', KEYS[3], ARGV[2]) == 0 then return {'unknown_item', 0} end
-- A tap that meets the pin on its way must not ask for what is shown already.
local pin = redis.call('HGET', KEYS[4], 'pin')
local shown = pin and cmsgpack.unpack(string.sub(pin, string.find(pin, ':', 1, true) + 1))
if shown and shown.product_id == ARGV[2] then return {'shown_now', 0} end
local at = string.format('%.0f', now)
local count, since = string.match(redis.call('HGET', KEYS[1], ARGV[2]) or '0:' .. at, '^(%d+):(%d+)$')
local is_full = redis.call('SCARD', KEYS[2]) >= tonumber(ARGV[7])
if ARGV[3] == '0' or is_full or redis.call('SADD', KEYS[2], ARGV[1]) == 0 then return {'ok', 0, count, at, 0} end
local version = math.max(now, tonumber(redis.call('HGET', KEYS[1], 'version') or 0) + 1)
redis.call('HSET', KEYS[1], ARGV[2], string.format('%d:%s', count + 1, since), 'version', string.format('%.0f', version))
return {'ok', 0, count + 1, at, 1}
