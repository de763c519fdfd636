-- Take what SQL says (ARGV[2]: packed snapshot; ARGV[3]: packed {buyer id: bound units}), after dropping a soft hold that is now bound
-- (ARGV[4]: its id, or empty). Gives {numbers}, or {} when the sale is not loaded or stands in another epoch.
if not read_sale() then return {} end
local snapshot = cmsgpack.unpack(ARGV[2])
if snapshot.epoch ~= sale.epoch then return {} end
if ARGV[4] ~= '' then drop_hold(ARGV[4]) end
take_snapshot(snapshot)
take_bound(cmsgpack.unpack(ARGV[3]), snapshot.version)
return {finish()}
