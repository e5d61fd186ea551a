-- Return runs that hold a pool and were not confirmed for a minute, the longest silent first.
--
-- ARGV  4  most of them
--
-- Keys (table in parts/1_keys.lua)
--   holders  ZSET  one day  read

return call('ZRANGEBYSCORE', key('holders'), '-inf', NOW - CONFIRMED, 'LIMIT', 0, tonumber(ARGV[4]))
