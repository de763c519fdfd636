-- Give every soft hold more time, because nobody could pay meanwhile. ARGV[2]: by how much (ms); ARGV[3]: the pause it makes good (its
-- beginning, ms), so that a repeated call gives only what it has grown by. Buyers are told by notice, with a new token. Gives {numbers}, or {} when not loaded.
if not read_sale() then return {} end
local by, pause = tonumber(ARGV[2]), tonumber(ARGV[3])
local last, given = tonumber(redis.call('HGET', META, 'lengthened_ms') or 0), 0
if last == pause then given = tonumber(redis.call('HGET', META, 'lengthened_by') or 0) end
if last > pause or given >= by then return {numbers()} end
redis.call('HSET', META, 'lengthened_ms', whole(pause), 'lengthened_by', whole(by))
by = by - given
for _, hold_id in ipairs(redis.call('ZRANGE', DEADLINES, 0, 9999)) do
  local packed = redis.call('HGET', HOLDS, hold_id)
  if packed then
    local hold = cmsgpack.unpack(packed)
    hold.expires_at_ms = hold.expires_at_ms + by
    packed = cmsgpack.pack(hold)
    new_holds[#new_holds + 1] = hold_id
    new_holds[#new_holds + 1] = packed
    new_answers[#new_answers + 1] = hold_id
    new_answers[#new_answers + 1] = packed
    new_deadlines[#new_deadlines + 1] = whole(hold.expires_at_ms)
    new_deadlines[#new_deadlines + 1] = hold_id
    notice('extended', hold.buyer_id, hold)
    changed = true
  end
end
return {finish()}
