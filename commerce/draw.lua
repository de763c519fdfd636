-- Decide the window's requests in the order of their lots, which the caller has computed from the committed seed.
-- ARGV[2]: packed list of hold ids. Gives {1, numbers}; {0, numbers} when there is nothing to draw or these are not all requests of the
-- window (read it again); {} when not loaded.
if not read_sale() then return {} end
local order = cmsgpack.unpack(ARGV[2])
if not must_draw() or redis.call('HLEN', WINDOW) ~= #order then return {0, numbers()} end
local entries = read(WINDOW, order)
for i = 1, #order do
  if not entries[i] then return {0, numbers()} end
end
drop_expired(100)
for place, packed in ipairs(entries) do
  local entry = cmsgpack.unpack(packed)
  local buyer = buyer_of(entry.buyer_id)
  buyer.units, buyer.moved = math.max(0, buyer.units - entry.quantity), true
  if available() >= entry.quantity and allowance(buyer) >= entry.quantity then
    notice('granted', entry.buyer_id, grant(entry.hold_id, entry.buyer_id, entry.quantity, entry.ghost, 'drawn', entry.at_ms))
  else
    local answer = {decision = 'refused', reason = 'window_lost', place = place}
    decided(answer, entry.hold_id, entry.buyer_id, entry.quantity, entry.ghost, nil, entry.at_ms)
    if sale.rule == 'draw' then notice('refused', entry.buyer_id, answer) end
  end
end
redis.call('DEL', WINDOW)
promote()
return {1, finish()}
