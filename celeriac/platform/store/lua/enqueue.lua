-- Put runs into the lanes of their tenants.
--
-- ARGV  3…  JSON of each run
--
-- Keys (table in shared.lua)
--   limits:<tenant>          HASH    one day     written: the newest limits hold for all runs of the tenant
--   run:<run>                STRING  none        read for the fence, written; a TTL left from a pick goes
--   lane:<queue>:<tenant>:…  ZSET    emptied     the run is added
--   waiting:<queue>          STRING  emptied     counted up
--   ring, left, turn, later  …       …           the tenant joins: new runs are worth a look even where it was blocked
--   born                     STRING  permanent   set once

call('SET', key('born'), NOW, 'NX')
for i = 3, #ARGV do
  local run = cjson.decode(ARGV[i])
  remember_limits(run)
  put(run, ARGV[i])
end
