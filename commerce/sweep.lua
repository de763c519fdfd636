-- Free soft holds whose expiry and grace have passed (at most ARGV[2]). Gives {packed list of the freed, numbers}, or {} when not loaded.
if not read_sale() then return {} end
local freed = drop_expired(tonumber(ARGV[2]))
return {cmsgpack.pack(freed), finish()}
