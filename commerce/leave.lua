-- Leave the wait list (ARGV[2]: buyer id). Gives {1 when the buyer had a place else 0, numbers}, or {} when not loaded.
if not read_sale() then return {} end
local packed = redis.call('HGET', WAITING, ARGV[2])
if not packed then return {0, numbers()} end
local place = cmsgpack.unpack(packed)
leave_queue(ARGV[2])
decided({decision = 'refused', reason = 'left'}, place.hold_id, ARGV[2], place.quantity, place.ghost)
new_log[#new_log][7] = 'left'
return {1, finish()}
