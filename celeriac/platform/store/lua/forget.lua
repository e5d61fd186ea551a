-- Drop runs that have ended while they stood in a lane, were on their way or were parked, with all that they hold.
--
-- ARGV  4…  run ids
--
-- Keys (table in parts/1_keys.lua)
--   run:<run>                       STRING  …         read and deleted
--   lane:<queue>:<tenant>:<lane>    ZSET    emptied   the run leaves it
--   waiting:<queue>                 STRING  emptied   counted down with it
--   slot:<run>:<fence>              STRING  1.5 dead  that of its pick is deleted
--   slots, taken, held              ZSET    …         the slot leaves them
--   hold:<run>, holders             …       one day   what is held for the run is given back
--   tenant, lanes, blocked, waiters, sleepers, ring, left, turn, later  …  as in release.lua

for i = 4, #ARGV do
  local run_id = ARGV[i]
  local text = call('GET', key('run', run_id))
  if text then
    local fence = cjson.decode(text).fence
    forget(run_id, fence)
    free(slot_name(run_id, fence))
  end
  settle(run_id)
end
