-- Decide a batch of requests for one sale: exactly one log entry and one answer each; the same request gives the same answer again.
-- ARGV[2]: packed list of {hold_id, buyer_id, quantity, ghost, wait}: `wait` asks for a place in the wait list instead of a refusal.
-- ARGV[3]: lines the log may have before taps are refused, ARGV[4]: answers that may be kept.
-- Gives {packed answers, numbers}, {} when not loaded, {'draw'} when the window's lots have to be drawn first, {'full'} when the worker
-- has fallen too far behind.
if not read_sale() then return {} end
if must_draw() then return {'draw'} end
if sale.seq - (sale.trimmed_seq or 0) >= tonumber(ARGV[3]) or redis.call('HLEN', ANSWERS) >= tonumber(ARGV[4]) then return {'full'} end
drop_expired(100)
promote()
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
local window = not closed and window_ends()
local in_window = window and now < window

local ids, buyer_ids = {}, {}
for i, request in ipairs(requests) do ids[i], buyer_ids[i] = request[1], request[2] end
know_buyers(buyer_ids)
local answered = read(ANSWERS, ids)

local function refuse(reason)
  local answer = {decision = 'refused', reason = reason}
  if reason == 'not_open' and sale.opens_at_ms > 0 then answer.opens_at_ms = sale.opens_at_ms end
  if reason == 'not_enough' then answer.available = available() end
  if reason == 'all_held' or reason == 'sold_out' then
    sale.since_last = (sale.since_last or 0) + 1
    answer.place = sale.since_last
    if (sale.last_unit_ms or 0) > 0 then answer.after_last_unit_ms = now - sale.last_unit_ms end
    if reason == 'all_held' then answer.next_hold_ends_at_ms = next_hold_ends() end
  end
  return answer
end

local function with_place(answer, buyer_id)
  local rank = redis.call('ZRANK', QUEUE, buyer_id)
  answer.place = rank and rank + 1 or nil
  return answer
end

local function wait(hold_id, buyer_id, quantity, ghost)
  local packed = redis.call('HGET', WAITING, buyer_id)
  if packed then -- has a place already, under an earlier request
    return with_place(cmsgpack.unpack(redis.call('HGET', ANSWERS, cmsgpack.unpack(packed).hold_id)), buyer_id)
  end
  sale.tickets = (sale.tickets or 0) + 1
  redis.call('ZADD', QUEUE, whole(sale.tickets), buyer_id)
  redis.call('HSET', WAITING, buyer_id, cmsgpack.pack({hold_id = hold_id, quantity = quantity, ghost = ghost}))
  sale.waiting, changed = waiting() + 1, true
  local answer = decided({decision = 'waiting', reason = 'joined'}, hold_id, buyer_id, quantity, ghost)
  redis.call('HSET', ANSWERS, hold_id, new_answers[#new_answers])
  return with_place(answer, buyer_id)
end

local function enter_window(hold_id, buyer_id, quantity, ghost)
  local buyer = buyer_of(buyer_id)
  buyer.units, buyer.moved = buyer.units + quantity, true -- counts towards the limit until the lots are drawn
  redis.call('HSET', WINDOW, hold_id, cmsgpack.pack({hold_id = hold_id, buyer_id = buyer_id, quantity = quantity, ghost = ghost,
    at_ms = now, number = redis.call('HLEN', WINDOW)}))
  local answer = {decision = 'pending', reason = 'window', decided_at_ms = window, at_ms = now, epoch = sale.epoch}
  new_answers[#new_answers + 1] = hold_id
  new_answers[#new_answers + 1] = cmsgpack.pack(answer)
  return answer
end

-- Once everything has ended (or nothing has begun) an attempt is answered, but no longer part of the log: its end stands.
local unlogged = not (sale.state == 'armed' or sale.state == 'countdown' or sale.state == 'open' or sale.state == 'paused'
  or sale.state == 'draining')

local answers, in_batch = {}, {}
for i, request in ipairs(requests) do
  local hold_id, buyer_id, quantity, ghost = request[1], request[2], request[3], request[4]
  local answer
  if in_batch[hold_id] then
    answer = answers[in_batch[hold_id]]
  elseif answered[i] then
    answer = cmsgpack.unpack(answered[i])
    if answer.decision == 'waiting' then with_place(answer, buyer_id) end
  else
    local reason = closed
    if not reason and (type(quantity) ~= 'number' or quantity < 1 or quantity ~= math.floor(quantity)) then reason = 'bad_quantity' end
    if not reason and quantity > allowance(buyer_of(buyer_id)) then reason = 'limit_reached' end
    if not reason and not in_window and available() < quantity then
      reason = available() > 0 and 'not_enough' or sale.sold >= sale.capacity and 'sold_out' or 'all_held'
    end
    if unlogged then
      answer = {decision = 'refused', reason = reason}
    elseif request[5] and (reason == 'all_held' or reason == 'sold_out') then
      answer = wait(hold_id, buyer_id, quantity, ghost)
    elseif reason then
      answer = decided(refuse(reason), hold_id, buyer_id, type(quantity) == 'number' and quantity or 0, ghost)
    elseif in_window then
      answer = enter_window(hold_id, buyer_id, quantity, ghost)
    else
      answer = grant(hold_id, buyer_id, quantity, ghost)
    end
  end
  in_batch[hold_id] = in_batch[hold_id] or i
  answers[i] = answer
end
return {cmsgpack.pack(answers), finish()}
