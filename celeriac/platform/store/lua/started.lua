-- Note that a run was claimed: it is no longer on its way, and it holds its slot.
--
-- ARGV  3  run id
--       4  fence of the claim
--       5  tenant
--       6  queue
--
-- Keys (table in shared.lua)
--   run:<run>                STRING  …         deleted, unless it is of a newer fence
--   lane:<queue>:<tenant>:…  ZSET    emptied   the run leaves it: an old message may claim a run that was put back
--   waiting:<queue>          STRING  emptied   counted down with it
--   slot:<run>:<fence>       STRING  1.5 dead  written: the pick's may have expired, or Redis was emptied
--   slots:<tenant>           ZSET    1.5 dead  the slot stands in it
--   taken:<queue>            ZSET    1.5 dead  the slot stands in it

local run_id, fence = ARGV[3], tonumber(ARGV[4])
forget(run_id, fence)
hold(slot_name(run_id, fence), ARGV[5], ARGV[6])
