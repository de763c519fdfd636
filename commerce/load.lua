-- Begin an epoch: replace everything by what SQL says and what still lives of the log. Refused unless the epoch is newer.
-- ARGV[2]: packed snapshot; ARGV[3]: packed {buyer id: bound units}; ARGV[4]: the last sequence number that was persisted;
-- ARGV[5]: packed list of granted answers, ARGV[6]: how many of its first still hold units; ARGV[7]: packed wait list, head first.
-- Gives {1 when loaded else 0, numbers}.
local snapshot = cmsgpack.unpack(ARGV[2])
if read_sale() and sale.epoch >= snapshot.epoch then return {0, numbers()} end
redis.call('DEL', META, HOLDS, DEADLINES, SOFT, BOUND, ANSWERS, QUEUE, WAITING, WINDOW)
sale = {epoch = snapshot.epoch, version = -1, soft = 0, seq = tonumber(ARGV[4]), rev = 0, waiting = 0, tickets = 0,
  trimmed_seq = tonumber(ARGV[4])}
redis.call('HSET', META, 'epoch', whole(sale.epoch))
take_snapshot(snapshot)
take_bound(cmsgpack.unpack(ARGV[3]), snapshot.version)
sale.full_version = snapshot.version
local living = tonumber(ARGV[6])
for i, hold in ipairs(cmsgpack.unpack(ARGV[5])) do
  local packed = cmsgpack.pack(hold)
  new_answers[#new_answers + 1] = hold.hold_id
  new_answers[#new_answers + 1] = packed
  if i <= living then
    new_holds[#new_holds + 1] = hold.hold_id
    new_holds[#new_holds + 1] = packed
    new_deadlines[#new_deadlines + 1] = whole(hold.expires_at_ms)
    new_deadlines[#new_deadlines + 1] = hold.hold_id
    local buyer = buyer_of(hold.buyer_id)
    buyer.units, buyer.holds, buyer.moved = buyer.units + hold.quantity, buyer.holds .. ' ' .. hold.hold_id, true
    sale.soft = sale.soft + hold.quantity
  end
end
for _, place in ipairs(cmsgpack.unpack(ARGV[7])) do
  sale.tickets, sale.waiting = sale.tickets + 1, sale.waiting + 1
  redis.call('ZADD', QUEUE, whole(sale.tickets), place.buyer_id)
  redis.call('HSET', WAITING, place.buyer_id, cmsgpack.pack({hold_id = place.hold_id, quantity = place.quantity, ghost = place.ghost}))
  new_answers[#new_answers + 1] = place.hold_id
  new_answers[#new_answers + 1] = cmsgpack.pack({decision = 'waiting', reason = 'joined', seq = place.seq, epoch = place.epoch})
end
-- What waits is served by the first call that finds the sale complete.
return {1, finish()}
