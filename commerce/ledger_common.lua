-- Shared by every script of the hot ledger: what the keys are, how the sale stands, how a hold begins and ends, who comes next.
-- KEYS: meta (hash), holds (hash: hold id -> packed), deadlines (zset: hold id by expiry, ms), soft (hash: buyer -> "units id id"),
--   bound (hash: buyer -> "version:units"), answers (hash: hold id -> packed), log (stream), notices (stream),
--   queue (zset: buyer by ticket), waiting (hash: buyer -> packed), window (hash: hold id -> packed)
-- ARGV[1]: what to add to Redis' clock (ms; 0 but in tests).
local META, HOLDS, DEADLINES, SOFT, BOUND, ANSWERS, LOG, NOTICES, QUEUE, WAITING, WINDOW = unpack(KEYS)
local GRACE_MS = 5000
local PROMOTED_MIN_MS = 15000 -- a unit that comes back after closing is offered only if its new holder has this long
local PROMOTED_MAX = 200 -- per call
local CHUNK = 1000 -- Lua's unpack has a limit; even, so that pairs stay together

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[1])

local TEXT = {state = true, state_reason = true, rule = true, currency = true, seed = true}
local sale = nil
local function read_sale()
  local flat = redis.call('HGETALL', META)
  if #flat == 0 then return false end
  sale = {}
  for i = 1, #flat, 2 do
    if TEXT[flat[i]] then sale[flat[i]] = flat[i + 1] else sale[flat[i]] = tonumber(flat[i + 1]) end
  end
  return true
end

local changed = false -- something everyone sees
local function whole(number) return string.format('%.0f', number) end

local function available()
  return math.max(0, sale.capacity - sale.reserved - sale.sold - sale.soft)
end

-- What is written at the end of the script, in few calls however many requests there were.
local buyers, new_answers, new_holds, new_deadlines, new_log, new_notices = {}, {}, {}, {}, {}, {}

local function write(command, key, list)
  for i = 1, #list, CHUNK do redis.call(command, key, unpack(list, i, math.min(i + CHUNK - 1, #list))) end
end

local function read(key, names)
  local found = {}
  for i = 1, #names, CHUNK do
    for _, value in ipairs(redis.call('HMGET', key, unpack(names, i, math.min(i + CHUNK - 1, #names)))) do
      found[#found + 1] = value
    end
  end
  return found
end

local function know_buyers(ids)
  local soft, bound = read(SOFT, ids), read(BOUND, ids)
  for i, id in ipairs(ids) do
    if not buyers[id] then
      local units, rest = string.match(soft[i] or '0', '^(%d+)(.*)$')
      buyers[id] = {units = tonumber(units), holds = rest, bound = tonumber(string.match(bound[i] or ':0', ':(%d+)$')), moved = false}
    end
  end
end

local function buyer_of(id)
  if not buyers[id] then know_buyers({id}) end
  return buyers[id]
end

-- How far a buyer still is from the limit.
local function allowance(buyer) return sale.limit_per_buyer - buyer.units - buyer.bound end

local first_deadline = nil
local function next_hold_ends()
  if first_deadline == nil then
    local first = redis.call('ZRANGE', DEADLINES, 0, 0, 'WITHSCORES')
    first_deadline = first[2] and tonumber(first[2]) or false
  end
  local bound = (sale.bound_deadline_ms or 0) > now and sale.bound_deadline_ms or false
  if first_deadline and bound then return math.min(first_deadline, bound) end
  return first_deadline or bound or nil
end

-- Give an attempt its number, its line in the log and its answer by request.
local function decided(answer, hold_id, buyer_id, quantity, ghost, why, arrived_at_ms)
  sale.seq = sale.seq + 1
  answer.seq, answer.epoch = sale.seq, sale.epoch
  local free = available()
  new_log[#new_log + 1] = {sale.seq, sale.epoch, now, hold_id, buyer_id, quantity, answer.decision, why or answer.reason,
    answer.expires_at_ms or 0, free, sale.capacity - free - sale.sold, sale.sold, ghost, arrived_at_ms or 0}
  new_answers[#new_answers + 1] = hold_id
  new_answers[#new_answers + 1] = cmsgpack.pack(answer)
  return answer
end

local function notice(kind, buyer_id, answer) new_notices[#new_notices + 1] = {kind, buyer_id, answer} end

-- After closing nothing is granted beyond what a hold of the last moment would have had: the sale settles then.
local function last_call_ms()
  if sale.state == 'draining' and (sale.closed_at_ms or 0) > 0 then return sale.closed_at_ms + sale.hold_ms end
  return sale.closes_at_ms + sale.hold_ms
end

local function grant(hold_id, buyer_id, quantity, ghost, why, arrived_at_ms)
  local buyer = buyer_of(buyer_id)
  local ends = now + sale.hold_ms
  if sale.state == 'draining' or now >= sale.closes_at_ms then ends = math.min(ends, last_call_ms()) end
  local answer = {decision = 'granted', reason = 'granted', hold_id = hold_id, buyer_id = buyer_id, quantity = quantity,
    price_minor = sale.price_minor, currency = sale.currency, granted_at_ms = now, expires_at_ms = ends, ghost = ghost}
  sale.soft = sale.soft + quantity
  buyer.units, buyer.holds, buyer.moved = buyer.units + quantity, buyer.holds .. ' ' .. hold_id, true
  sale.last_unit_ms, sale.since_last = now, 0
  if first_deadline ~= nil and (not first_deadline or ends < first_deadline) then first_deadline = ends end
  changed = true
  decided(answer, hold_id, buyer_id, quantity, ghost, why, arrived_at_ms)
  new_holds[#new_holds + 1] = hold_id
  new_holds[#new_holds + 1] = new_answers[#new_answers]
  new_deadlines[#new_deadlines + 1] = whole(ends)
  new_deadlines[#new_deadlines + 1] = hold_id
  return answer
end

-- End a soft hold that is still there; gives its record, or nil. For holds of earlier calls only.
local function drop_hold(hold_id)
  local packed = redis.call('HGET', HOLDS, hold_id)
  if not packed then return nil end
  local hold = cmsgpack.unpack(packed)
  redis.call('HDEL', HOLDS, hold_id)
  redis.call('ZREM', DEADLINES, hold_id)
  local buyer = buyer_of(hold.buyer_id)
  local from, to = string.find(buyer.holds, ' ' .. hold_id, 1, true)
  if from then buyer.holds = string.sub(buyer.holds, 1, from - 1) .. string.sub(buyer.holds, to + 1) end
  buyer.units, buyer.moved = math.max(0, buyer.units - hold.quantity), true
  sale.soft = math.max(0, sale.soft - hold.quantity)
  first_deadline, changed = nil, true
  return hold
end

-- Free at most `limit` soft holds whose grace is over, and leave word for their buyers.
local function drop_expired(limit)
  if sale.state == 'paused' and sale.state_reason == 'payment_outage' then return end -- nobody can pay: they gain its length
  for _, hold_id in ipairs(redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', whole(now - GRACE_MS), 'LIMIT', 0, limit)) do
    local hold = drop_hold(hold_id)
    if hold then notice('expired', hold.buyer_id, hold) else redis.call('ZREM', DEADLINES, hold_id) end
  end
end

-- When the first moment ends whose requests are drawn by lot, or nil where the rule has none.
local function window_ends()
  if sale.rule == 'fair_window' then return math.min(sale.opens_at_ms + sale.window_ms, sale.closes_at_ms) end
  if sale.rule == 'draw' then return sale.closes_at_ms end
  return nil
end

local function must_draw()
  local ends = window_ends()
  return ends and now >= ends and sale.state ~= 'paused' and redis.call('HLEN', WINDOW) > 0
end

local function is_open()
  return (sale.state == 'countdown' or sale.state == 'open') and now >= sale.opens_at_ms and now < sale.closes_at_ms
end

-- Whether a unit that comes back may still go to the wait list. After closing too, as long as there is time to buy; not when the
-- host ended the sale.
local function promotes()
  if is_open() then return sale.rule ~= 'draw' and now >= (window_ends() or 0) end
  return sale.state == 'draining' and string.sub(sale.state_reason or '', 1, 11) ~= 'ended_early'
    and last_call_ms() - now >= PROMOTED_MIN_MS
end

local OVER = {draft = true, ready = true, draining = true, settled = true, published = true}
local function waiting() return sale.waiting or 0 end

local function leave_queue(buyer_id)
  redis.call('ZREM', QUEUE, buyer_id)
  redis.call('HDEL', WAITING, buyer_id)
  sale.waiting, changed = math.max(0, waiting() - 1), true
end

-- The one place where units that came back are given away: the head of the wait list first, before anyone else is asked.
-- A head that wants more than there is gets what there is: nobody is passed over and no unit lies idle.
local function promote()
  if waiting() == 0 then return end
  local may = promotes()
  local over = not may and OVER[sale.state]
  for _ = 1, PROMOTED_MAX do
    if waiting() == 0 or not (over or (may and available() > 0)) then return end
    local head = redis.call('ZRANGE', QUEUE, 0, 0)[1]
    if not head then sale.waiting = 0 return end
    local place = cmsgpack.unpack(redis.call('HGET', WAITING, head))
    leave_queue(head)
    local quantity = math.min(place.quantity, available(), allowance(buyer_of(head)))
    if over or quantity < 1 then
      local answer = {decision = 'refused', reason = over and 'ended' or 'limit_reached'}
      notice('refused', head, decided(answer, place.hold_id, head, place.quantity, place.ghost))
      new_log[#new_log][7] = 'left'
    else
      notice('promoted', head, grant(place.hold_id, head, quantity, place.ghost, 'promoted'))
    end
  end
end

local SNAPSHOT = {'version', 'capacity', 'reserved', 'sold', 'state', 'state_reason', 'opens_at_ms', 'closes_at_ms', 'closed_at_ms',
  'limit_per_buyer', 'hold_ms', 'price_minor', 'currency', 'rule', 'window_ms', 'seed'}

-- Take what SQL says at a version, unless something newer is here already.
local function take_snapshot(snapshot)
  if snapshot.version <= sale.version then return end
  local fields = {}
  for _, name in ipairs(SNAPSHOT) do
    local value = snapshot[name]
    sale[name] = value
    fields[#fields + 1] = name
    fields[#fields + 1] = TEXT[name] and value or whole(value)
  end
  redis.call('HSET', META, unpack(fields))
  changed = true
end

-- Units of buyers that SQL holds or has sold, absolute and versioned like the snapshot.
local function take_bound(units, version)
  local ids, fields = {}, {}
  for buyer_id, _ in pairs(units) do ids[#ids + 1] = buyer_id end
  for i, known in ipairs(read(BOUND, ids)) do
    if not known or tonumber(string.match(known, '^(%d+):')) <= version then
      fields[#fields + 1] = ids[i]
      fields[#fields + 1] = whole(version) .. ':' .. whole(units[ids[i]])
      if buyers[ids[i]] then buyers[ids[i]].bound = units[ids[i]] end
    end
  end
  write('HSET', BOUND, fields)
end

local function numbers()
  local free = available()
  return {sale.capacity, free, sale.capacity - free - sale.sold, sale.sold, waiting(), next_hold_ends() or -1, sale.epoch, sale.seq,
    sale.rev, sale.soft, redis.call('HLEN', WINDOW), sale.version, sale.full_version or 0}
end

-- Write what moved and give the sale's numbers.
local function finish()
  write('HSET', ANSWERS, new_answers)
  write('HSET', HOLDS, new_holds)
  write('ZADD', DEADLINES, new_deadlines)
  local kept = {}
  for id, buyer in pairs(buyers) do
    if buyer.moved then
      if buyer.units <= 0 and buyer.holds == '' then
        redis.call('HDEL', SOFT, id)
      else
        kept[#kept + 1] = id
        kept[#kept + 1] = whole(buyer.units) .. buyer.holds
      end
    end
  end
  write('HSET', SOFT, kept)
  if #new_log > 0 then redis.call('XADD', LOG, '*', 'e', cmsgpack.pack(new_log)) end
  if #new_notices > 0 then redis.call('XADD', NOTICES, '*', 'n', cmsgpack.pack(new_notices)) end
  if changed then sale.rev = sale.rev + 1 end
  redis.call('HSET', META, 'soft', whole(sale.soft), 'seq', whole(sale.seq), 'rev', whole(sale.rev), 'waiting', whole(waiting()),
    'tickets', whole(sale.tickets or 0), 'last_unit_ms', whole(sale.last_unit_ms or 0), 'since_last', whole(sale.since_last or 0),
    'bound_deadline_ms', whole(sale.bound_deadline_ms or 0), 'full_version', whole(sale.full_version or 0),
    'trimmed_seq', whole(sale.trimmed_seq or 0))
  return numbers()
end
