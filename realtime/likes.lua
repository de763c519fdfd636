-- Add likes and give the total.  KEYS: likes.  ARGV: count, a total already shown to viewers (an emptied Redis continues from there).
local total = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), tonumber(ARGV[2])) + tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.0f', total))
return total
