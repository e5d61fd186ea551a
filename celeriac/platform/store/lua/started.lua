-- Note that a picked run was claimed: it is no longer on its way, its slot stays.
--
-- ARGV  3  run id
--       4  fence of the claim
--
-- Keys (table in shared.lua)
--   run:<run>                STRING  …        deleted, unless it is of a newer fence
--   lane:<queue>:<tenant>:…  ZSET    emptied  the run leaves it: an old message may claim a run that was put back
--   waiting:<queue>          STRING  emptied  counted down with it

forget(ARGV[3], tonumber(ARGV[4]))
