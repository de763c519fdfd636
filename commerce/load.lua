-- Begin an epoch: replace everything by what SQL says and the soft holds that still live. Refused unless the epoch is newer.
-- ARGV[2]: packed snapshot; ARGV[3]: packed {buyer id: bound units}; ARGV[4]: packed list of soft holds (as decide.lua answers them);
-- ARGV[5]: the last sequence number that was persisted.  Gives {1 when loaded else 0, numbers}.
local snapshot = cmsgpack.unpack(ARGV[2])
if read_sale() and sale.epoch >= snapshot.epoch then return {0, finish()} end
redis.call('DEL', META, HOLDS, DEADLINES, SOFT, BOUND, ANSWERS)
sale = {epoch = snapshot.epoch, version = -1, soft = 0, seq = tonumber(ARGV[5]), rev = 0}
redis.call('HSET', META, 'epoch', whole(sale.epoch))
take_snapshot(snapshot)
take_bound(cmsgpack.unpack(ARGV[3]), snapshot.version)
for _, hold in ipairs(cmsgpack.unpack(ARGV[4])) do
  redis.call('HSET', HOLDS, hold.hold_id, cmsgpack.pack(hold))
  redis.call('ZADD', DEADLINES, whole(hold.expires_at_ms), hold.hold_id)
  redis.call('HINCRBY', SOFT, hold.buyer_id, whole(hold.quantity))
  sale.soft = sale.soft + hold.quantity
end
return {1, finish()}
