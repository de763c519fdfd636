-- Stop deciding in an epoch that is to be replaced: from here on the sale counts as not loaded (ARGV[2]: that epoch; a newer one stays).
-- Its log and notices stay, to be read to their end. Gives 1 when fenced.
if not read_sale() or sale.epoch > tonumber(ARGV[2]) then return 0 end
redis.call('DEL', META)
return 1
