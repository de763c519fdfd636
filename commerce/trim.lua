-- Forget log records that are in SQL now (ARGV[2]: packed list of their ids; ARGV[3]: the last number among their lines).
redis.call('XDEL', LOG, unpack(cmsgpack.unpack(ARGV[2])))
if read_sale() and tonumber(ARGV[3]) > (sale.trimmed_seq or 0) then redis.call('HSET', META, 'trimmed_seq', ARGV[3]) end
return 1
