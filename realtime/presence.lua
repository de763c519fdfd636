-- Enter one hub's totals and give the room's: totals, never increments, so a lost or dead hub heals by itself.
-- KEYS: presence (hash: hub -> "people:ghosts:at_ms"), peak (hash: peak, rising, since)
-- ARGV: hub id, people, ghosts, stale after (ms), a peak counts once held for (ms),
--       a peak already shown to viewers (an emptied Redis continues from there)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(ARGV[2]) + tonumber(ARGV[3]) > 0 then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%d:%d:%.0f', ARGV[2], ARGV[3], now))
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
local people, ghosts = 0, 0
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local p, g, at = string.match(all[i + 1], '^(%d+):(%d+):(%d+)$')
  if now - tonumber(at) > tonumber(ARGV[4]) then
    redis.call('HDEL', KEYS[1], all[i])
  else
    people = people + tonumber(p)
    ghosts = ghosts + tonumber(g)
  end
end
-- While a killed hub's totals go stale, viewers who have moved on are counted twice: only what lasts longer is a peak.
local stored = redis.call('HMGET', KEYS[2], 'peak', 'rising', 'since')
local peak = math.max(tonumber(stored[1] or 0), tonumber(ARGV[6]))
if people > peak then
  local rising, since = math.min(tonumber(stored[2] or people), people), tonumber(stored[3] or now)
  if now - since >= tonumber(ARGV[5]) then
    peak = rising
    redis.call('HDEL', KEYS[2], 'rising', 'since')
  else
    redis.call('HSET', KEYS[2], 'rising', rising, 'since', string.format('%.0f', since))
  end
elseif stored[2] then
  redis.call('HDEL', KEYS[2], 'rising', 'since')
end
if peak > tonumber(stored[1] or 0) then redis.call('HSET', KEYS[2], 'peak', peak) end
return {people, ghosts, peak, string.format('%.0f', now)}
