-- A fixed window per caller, shared by all processes. KEYS: counter.  ARGV: allowed, window (ms).  Gives {1 when allowed else 0, wait (ms)}.
local used = redis.call('INCR', KEYS[1])
if used == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if used > tonumber(ARGV[1]) then return {0, math.max(1, redis.call('PTTL', KEYS[1]))} end
return {1, 0}
