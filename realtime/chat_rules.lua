-- Keep what a room's host allows, unless newer rules are known.
-- KEYS: chat rules (hash)
-- ARGV: version, then name and value of each rule
-- Gives: 1 when kept.
if tonumber(ARGV[1]) < tonumber(redis.call('HGET', KEYS[1], 'version') or 0) then return 0 end
redis.call('HSET', KEYS[1], 'version', unpack(ARGV))
return 1
