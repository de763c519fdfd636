-- A media process says which rooms it carries now, by Redis' clock.  KEYS: rooms on air.  ARGV: room, ...
-- Gives those that were not among them: new ones, and those that were given up for dead meanwhile.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local unknown = {}
for _, room in ipairs(ARGV) do
  if redis.call('ZADD', KEYS[1], now_ms, room) == 1 then unknown[#unknown + 1] = room end
end
return unknown
