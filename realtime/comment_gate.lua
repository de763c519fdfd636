-- May this viewer say something now? One answer for all hub processes.
-- KEYS: muted (hash), banned (set), slow mode marker of the viewer, rate window of the viewer, chat rules (hash), rate window of the address,
--       followers (set), whether all of them are in it
-- ARGV: viewer id, now (ms), comments allowed per window, window (ms), exempt from rules ("1" for staff), comments allowed per address
-- Gives: {code, wait in ms}; code "ok" or "review" lets it through.
if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then return {'banned', 0} end
local now = tonumber(ARGV[2])
local muted_until = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
if muted_until > now then return {'muted', muted_until - now} end
local used = redis.call('INCR', KEYS[4])
if used == 1 then redis.call('PEXPIRE', KEYS[4], ARGV[4]) end
if used > tonumber(ARGV[3]) then return {'rate_limited', redis.call('PTTL', KEYS[4])} end
local from_address = redis.call('INCR', KEYS[6])
if from_address == 1 then redis.call('PEXPIRE', KEYS[6], ARGV[4]) end
if from_address > tonumber(ARGV[6]) then return {'rate_limited', redis.call('PTTL', KEYS[6])} end
if ARGV[5] == '1' then return {'ok', 0} end
if redis.call('HGET', KEYS[5], 'off') == '1' then return {'chat_off', 0} end
if redis.call('HGET', KEYS[5], 'followers_only') == '1' and redis.call('SISMEMBER', KEYS[7], ARGV[1]) == 0 then
  -- Emptied meanwhile, Redis knows nobody: then to say "you don't follow" would be a lie.
  if redis.call('EXISTS', KEYS[8]) == 0 then return {'unavailable', 1000} end
  return {'followers_only', 0}
end
local slow = tonumber(redis.call('HGET', KEYS[5], 'slow_mode_s') or 0)
if slow > 0 then
  if not redis.call('SET', KEYS[3], '1', 'PX', slow * 1000, 'NX') then
    return {'slow_mode', redis.call('PTTL', KEYS[3])}
  end
end
if redis.call('HGET', KEYS[5], 'review') == '1' then return {'review', 0} end
return {'ok', 0}
