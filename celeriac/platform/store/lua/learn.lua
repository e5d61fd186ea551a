-- Note the newest limits, pools and paces, and let go what may go by them.
--
-- ARGV  4…  JSON of runs that carry them; the runs need not be queued
--
-- Keys (table in parts/1_keys.lua)
--   limits:<tenant>                 STRING  one day     written
--   numbers:<tenant>:<thing>        HASH    one day     written
--   stalled, lanes, ring, left, turn, later             a tenant that waits as a whole joins where its limits changed
--   sleepers, waiters, blocked                          a lane that waits for a thing joins where its number changed

for i = 4, #ARGV do learn(cjson.decode(ARGV[i])) end
