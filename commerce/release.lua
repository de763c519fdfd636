-- Let a buyer's own soft hold go (ARGV[2]: hold id, ARGV[3]: buyer id). Gives {1 when it was let go else 0, numbers}, or {} when not loaded.
if not read_sale() then return {} end
local packed = redis.call('HGET', HOLDS, ARGV[2])
if not packed or cmsgpack.unpack(packed).buyer_id ~= ARGV[3] then return {0, numbers()} end
local hold = drop_hold(ARGV[2])
-- The line says that this hold does not live on; the answer to its request stays what it was.
decided({decision = 'released', reason = 'released'}, hold.hold_id, hold.buyer_id, hold.quantity, hold.ghost)
new_answers = {}
if not must_draw() then promote() end
return {1, finish()}
