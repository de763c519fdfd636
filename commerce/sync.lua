-- Take what SQL says, after dropping soft holds that are bound by now; then units that came free go to the wait list.
-- ARGV[2]: packed snapshot; ARGV[3]: packed {buyer id: bound units}; ARGV[4]: packed list of hold ids that SQL has; ARGV[5]: 1 when
-- ARGV[3] has every buyer; ARGV[6]: when the next bound hold can end (ms; 0: none; -1: not known).
-- Gives {numbers}, or {} when the sale is not loaded or stands in another epoch.
if not read_sale() then return {} end
local snapshot = cmsgpack.unpack(ARGV[2])
if snapshot.epoch ~= sale.epoch then return {} end
local next_bound = tonumber(ARGV[6])
for _, hold_id in ipairs(cmsgpack.unpack(ARGV[4])) do
  local hold = drop_hold(hold_id)
  if hold and next_bound < 0 then
    local known = sale.bound_deadline_ms or 0
    if known <= now or hold.expires_at_ms < known then sale.bound_deadline_ms = hold.expires_at_ms end
  end
end
take_bound(cmsgpack.unpack(ARGV[3]), snapshot.version)
take_snapshot(snapshot)
if ARGV[5] == '1' then sale.full_version = math.max(sale.full_version or 0, snapshot.version) end
if next_bound >= 0 and snapshot.version >= sale.version and next_bound ~= (sale.bound_deadline_ms or 0) then
  sale.bound_deadline_ms, changed = next_bound, true
end
if not must_draw() then promote() end
return {finish()}
