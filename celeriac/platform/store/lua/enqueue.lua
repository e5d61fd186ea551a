-- Put runs into their lanes.
--
-- ARGV  4…  JSON of each run
--
-- Keys (table in parts/1_keys.lua)
--   tenant, numbers                 …       …           written: the newest hold for all runs of the tenant
--   run:<run>                       STRING  none        read for the fence, written; a TTL left from a pick goes
--   lane:<queue>:<tenant>:<lane>    ZSET    emptied     the run is added
--   waiting:<queue>                 STRING  emptied     counted up
--   lanes, blocked, waiters, sleepers, later  emptied   a new lane joins, and a blocked one whose new head needs less
--   ring, left, turn                …       …           its tenant joins with it
--   held, hold, holders             …       one day     a resume holds its pools that are for the run
--   born                            STRING  permanent   set once

call('SET', key('born'), NOW, 'NX')
for i = 4, #ARGV do arrive(ARGV[i]) end
