-- Note that a run was claimed: it is no longer on its way. Say whether it may execute.
--
-- ARGV  4  JSON of the run, with the fence of the claim
-- Returns 1 where the link has its slots; 0 where they were gone, and others have them by now.
--
-- Keys (table in parts/1_keys.lua)
--   run:<run>                     STRING  …         deleted, unless it is of a newer fence
--   lane:<queue>:<tenant>:<lane>  ZSET    emptied   the run leaves it: an old message may claim one that was put back
--   waiting:<queue>               STRING  emptied   counted down with it
--   lanes, blocked, waiters, …    …       …         as in release.lua, where its lane is empty then
--   tenant, numbers               …       one day   read, and written: the newest limits
--   slot:<run>:<fence>            STRING  1.5 dead  read, and written: the pick's may have expired, or Redis was emptied
--   slots, taken, held            ZSET    …         the slot stands in them
--   hold:<run>, holders           …       one day   written for pools that are held for the run; on 0 given back by one
--                                                   that has not begun

local run = cjson.decode(ARGV[4])
local run_id, tenant = run.run_id, run.tenant_id
local slot = slot_name(run_id, run.fence)
forget(run_id, run.fence)
learn(run)

-- Its token and its turn in its pace are paid for, by the pick.
local held = call('GET', key('slot', slot))
if not held then
  local running = limits_of(tenant, run)
  if count(key('slots', tenant), running) >= running or lacking_pool(run, slot) then
    if not run.is_resume then settle(run_id) end
    return 0
  end
end
hold(run_id, run.fence, tenant, run.queue, run.pools, held)
return 1
