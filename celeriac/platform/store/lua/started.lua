-- Note that a run was claimed: it is no longer on its way, and it holds its slots.
--
-- ARGV  4  run id
--       5  fence of the claim
--       6  tenant
--       7  queue
--       8  JSON of its pools, or empty
--
-- Keys (table in parts/1_keys.lua)
--   run:<run>                     STRING  …         deleted, unless it is of a newer fence
--   lane:<queue>:<tenant>:<lane>  ZSET    emptied   the run leaves it: an old message may claim one that was put back
--   waiting:<queue>               STRING  emptied   counted down with it
--   lanes, blocked, waiters, …    …       …         as in release.lua, where its lane is empty then
--   slot:<run>:<fence>            STRING  1.5 dead  written: the pick's may have expired, or Redis was emptied
--   slots, taken, held            ZSET    …         the slot stands in them
--   hold:<run>, holders           …       one day   written for pools that are held for the run

local run_id, fence = ARGV[4], tonumber(ARGV[5])
forget(run_id, fence)
take_anew(run_id, fence, ARGV[6], ARGV[7], ARGV[8] ~= '' and cjson.decode(ARGV[8]) or nil)
