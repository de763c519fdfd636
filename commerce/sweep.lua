-- Free soft holds whose expiry and grace have passed (at most ARGV[2]) and serve the wait list.
-- Gives {1 when the window's lots have to be drawn first else 0, numbers}, or {} when not loaded.
if not read_sale() then return {} end
if must_draw() then return {1, numbers()} end
drop_expired(tonumber(ARGV[2]))
promote()
if not changed and #new_log == 0 then return {0, numbers()} end
return {0, finish()}
