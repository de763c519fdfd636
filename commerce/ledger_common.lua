-- Shared by every script of the hot ledger: what the keys are, how the sale stands, how a soft hold ends.
-- KEYS: meta (hash), holds (hash: hold id -> packed), deadlines (zset: hold id by expiry, ms), soft units per buyer (hash),
--       bound units per buyer (hash: "version:units"), answers (hash: "buyer request" -> packed), log (stream)
-- ARGV[1]: what to add to Redis' clock (ms; 0 but in tests).
local META, HOLDS, DEADLINES, SOFT, BOUND, ANSWERS, LOG = unpack(KEYS)
local GRACE_MS = 5000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])

local sale = nil
local function read_sale()
  local flat = redis.call('HGETALL', META)
  if #flat == 0 then return false end
  sale = {}
  for i = 1, #flat, 2 do
    sale[flat[i]] = tonumber(flat[i + 1]) or flat[i + 1]
  end
  return true
end

local changed = false
local function whole(number) return string.format('%.0f', number) end

local function available()
  return math.max(0, sale.capacity - sale.reserved - sale.sold - sale.soft)
end

-- End a soft hold that is still there; gives its record, or nil.
local function drop_hold(hold_id)
  local packed = redis.call('HGET', HOLDS, hold_id)
  if not packed then return nil end
  local hold = cmsgpack.unpack(packed)
  redis.call('HDEL', HOLDS, hold_id)
  redis.call('ZREM', DEADLINES, hold_id)
  if redis.call('HINCRBY', SOFT, hold.buyer_id, -hold.quantity) <= 0 then
    redis.call('HDEL', SOFT, hold.buyer_id)
  end
  sale.soft = sale.soft - hold.quantity
  changed = true
  return hold
end

-- Free at most `limit` soft holds whose grace is over; gives their records.
local function drop_expired(limit)
  local freed = {}
  for _, hold_id in ipairs(redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', whole(now - GRACE_MS), 'LIMIT', 0, limit)) do
    freed[#freed + 1] = drop_hold(hold_id)
  end
  return freed
end

local SNAPSHOT = {'version', 'capacity', 'reserved', 'sold', 'state', 'opens_at_ms', 'closes_at_ms', 'limit_per_buyer', 'hold_ms',
  'price_minor', 'currency', 'rule', 'window_ms'}

-- Take what SQL says at a version, unless something newer is here already.
local function take_snapshot(snapshot)
  if snapshot.version <= sale.version then return end
  local fields = {}
  for _, name in ipairs(SNAPSHOT) do
    local value = snapshot[name]
    sale[name] = value
    fields[#fields + 1] = name
    fields[#fields + 1] = type(value) == 'number' and whole(value) or value
  end
  redis.call('HSET', META, unpack(fields))
  changed = true
end

-- Units of buyers that SQL holds or has sold, absolute and versioned like the snapshot.
local function take_bound(units, version)
  for buyer_id, used in pairs(units) do
    local known = redis.call('HGET', BOUND, buyer_id)
    if not known or tonumber(string.match(known, '^(%d+):')) <= version then
      redis.call('HSET', BOUND, buyer_id, whole(version) .. ':' .. whole(used))
    end
  end
end

-- Write what moved and give the sale's numbers.
local function finish()
  if changed then sale.rev = sale.rev + 1 end
  redis.call('HSET', META, 'soft', whole(sale.soft), 'seq', whole(sale.seq), 'rev', whole(sale.rev))
  local first = redis.call('ZRANGE', DEADLINES, 0, 0, 'WITHSCORES')
  local free = available()
  return {sale.capacity, free, sale.capacity - free - sale.sold, sale.sold, 0, first[2] and tonumber(first[2]) or -1, sale.epoch, sale.seq,
    sale.rev, sale.soft}
end
