-- Enter one hub's counts of delays and give the room's: totals, never increments, so a lost or dead hub heals by itself.
-- KEYS: delays (hash: hub -> "at_ms:count,count,...").  ARGV: hub id, counts ("" takes them out), stale after (ms)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f:%s', now, ARGV[2]))
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
local sum = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at, counts = string.match(all[i + 1], '^(%d+):(.+)$')
  if now - tonumber(at) > tonumber(ARGV[3]) then
    redis.call('HDEL', KEYS[1], all[i])
  else
    local n = 0
    for count in string.gmatch(counts, '%d+') do
      n = n + 1
      sum[n] = (sum[n] or 0) + tonumber(count)
    end
  end
end
return sum
