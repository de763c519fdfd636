-- Decide a batch of requests for one sale: exactly one log entry and one answer each; the same request gives the same answer again.
-- ARGV[2]: packed list of {request_id, hold_id, buyer_id, quantity, ghost}.  Gives {packed answers, numbers}, or {} when not loaded.
if not read_sale() then return {} end
drop_expired(100)
local requests = cmsgpack.unpack(ARGV[2])

local function refusal_by_state()
  if sale.state == 'paused' then return 'paused' end
  if sale.state == 'countdown' or sale.state == 'open' then
    if now < sale.opens_at_ms then return 'not_open' end
    if now >= sale.closes_at_ms then return 'ended' end
    return nil
  end
  if sale.state == 'draining' or sale.state == 'settled' or sale.state == 'published' then return 'ended' end
  return 'not_open'
end
local closed = refusal_by_state()

local answer_names, hold_names, buyers = {}, {}, {}
for i, request in ipairs(requests) do
  answer_names[i] = request[3] .. ' ' .. request[1]
  hold_names[i] = request[2]
  buyers[i] = request[3]
end
local answered = redis.call('HMGET', ANSWERS, unpack(answer_names))
local standing = redis.call('HMGET', HOLDS, unpack(hold_names))
local soft_of, bound_of = redis.call('HMGET', SOFT, unpack(buyers)), redis.call('HMGET', BOUND, unpack(buyers))
local soft_now = {}
for i, buyer_id in ipairs(buyers) do soft_now[buyer_id] = tonumber(soft_of[i] or 0) end

local answers, log, in_batch = {}, {}, {}
local new_answers, new_holds, new_deadlines, new_soft = {}, {}, {}, {}

local function refuse(reason)
  local answer = {decision = 'refused', reason = reason}
  if reason == 'not_open' and sale.opens_at_ms > 0 then answer.opens_at_ms = sale.opens_at_ms end
  if reason == 'all_held' or reason == 'sold_out' then
    sale.since_last = (sale.since_last or 0) + 1
    answer.place = sale.since_last
    if (sale.last_unit_ms or 0) > 0 then answer.after_last_unit_ms = now - sale.last_unit_ms end
    if reason == 'all_held' then
      local first = redis.call('ZRANGE', DEADLINES, 0, 0, 'WITHSCORES')
      if first[2] then answer.next_hold_ends_at_ms = tonumber(first[2]) end
    end
  end
  return answer
end

for i, request in ipairs(requests) do
  local name, hold_id, buyer_id, quantity = answer_names[i], request[2], request[3], request[4]
  if in_batch[name] then
    answers[i] = answers[in_batch[name]]
  elseif answered[i] then
    answers[i] = cmsgpack.unpack(answered[i])
    in_batch[name] = i
  elseif standing[i] then
    answers[i] = cmsgpack.unpack(standing[i])
    in_batch[name] = i
  else
    in_batch[name] = i
    local bound = tonumber(string.match(bound_of[i] or '0:0', ':(%d+)$'))
    local answer
    if closed then
      answer = refuse(closed)
    elseif soft_now[buyer_id] + bound + quantity > sale.limit_per_buyer then
      answer = refuse('limit_reached')
    elseif available() < quantity then
      answer = refuse(sale.sold >= sale.capacity and 'sold_out' or 'all_held')
    else
      answer = {decision = 'granted', reason = 'granted', hold_id = hold_id, buyer_id = buyer_id, quantity = quantity,
        price_minor = sale.price_minor, currency = sale.currency, granted_at_ms = now, expires_at_ms = now + sale.hold_ms,
        ghost = request[5]}
      sale.soft = sale.soft + quantity
      soft_now[buyer_id] = soft_now[buyer_id] + quantity
      sale.last_unit_ms, sale.since_last = now, 0
      changed = true
      new_soft[buyer_id] = soft_now[buyer_id]
    end
    sale.seq = sale.seq + 1
    answer.seq, answer.epoch = sale.seq, sale.epoch
    local packed = cmsgpack.pack(answer)
    if answer.decision == 'granted' then
      new_holds[#new_holds + 1] = hold_id
      new_holds[#new_holds + 1] = packed
      new_deadlines[#new_deadlines + 1] = whole(answer.expires_at_ms)
      new_deadlines[#new_deadlines + 1] = hold_id
    end
    new_answers[#new_answers + 1] = name
    new_answers[#new_answers + 1] = packed
    local free = available()
    log[#log + 1] = {sale.seq, sale.epoch, now, request[1], hold_id, buyer_id, quantity, answer.decision, answer.reason,
      answer.expires_at_ms or 0, free, sale.capacity - free - sale.sold, sale.sold, request[5]}
    answers[i] = answer
  end
end

if #new_answers > 0 then redis.call('HSET', ANSWERS, unpack(new_answers)) end
if #new_holds > 0 then
  redis.call('HSET', HOLDS, unpack(new_holds))
  redis.call('ZADD', DEADLINES, unpack(new_deadlines))
  local fields = {}
  for buyer_id, units in pairs(new_soft) do
    fields[#fields + 1] = buyer_id
    fields[#fields + 1] = whole(units)
  end
  redis.call('HSET', SOFT, unpack(fields))
end
if #log > 0 then
  redis.call('XADD', LOG, '*', 'e', cmsgpack.pack(log))
  redis.call('HSET', META, 'last_unit_ms', whole(sale.last_unit_ms or 0), 'since_last', whole(sale.since_last or 0))
end
return {cmsgpack.pack(answers), finish()}
