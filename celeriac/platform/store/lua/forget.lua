-- Drop a run that was cancelled while it stood in a lane or was on its way, and free the slot of its pick.
--
-- ARGV  3  run id
--
-- Keys (table in shared.lua)
--   run:<run>                STRING  …         read and deleted
--   lane:<queue>:<tenant>:…  ZSET    emptied   the run leaves it
--   waiting:<queue>          STRING  emptied   counted down with it
--   slot:<run>:<fence>       STRING  1.5 dead  deleted
--   slots:<tenant>           ZSET    1.5 dead  the slot leaves it
--   taken:<queue>            ZSET    1.5 dead  the slot leaves it
--   full, ring, left, turn, later  …  …        as in release.lua

local run_id = ARGV[3]
local text = call('GET', key('run', run_id))
if text then
  local fence = cjson.decode(text).fence
  forget(run_id, fence)
  free(slot_name(run_id, fence))
end
