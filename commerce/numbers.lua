-- The sale's numbers as they are. Gives {numbers}, or {} when not loaded.
if not read_sale() then return {} end
return {numbers()}
