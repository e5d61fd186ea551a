-- Let a run go on at once, its slot passed to the next link, or put it back into its lane.
--
-- ARGV  3  JSON of the run, with the fence of the next link
-- Returns 1 where the next link may follow, else 0.
--
-- Keys (table in shared.lua)
--   run:<run>                STRING  …           read: a second call answers like the first; written
--   slot:…, slots, taken     …       1.5 dead    the slot of the link that ends is passed on or given back
--   ring:<queue>             ZSET    emptied     read: tenants that could use the slot
--   lane:<queue>:<tenant>:…  ZSET    emptied     read: resumes of the same tenant go by age; the run is added on 0
--   limits:<tenant>          HASH    one day     written
--   waiting, left, turn, later, full             as in enqueue.lua and release.lua, on 0

local text = ARGV[3]
local run = cjson.decode(text)
local tenant, queue = run.tenant_id, run.queue
local name = key('run', run.run_id)
local ending, next_slot = slot_name(run.run_id, run.fence - 1), slot_name(run.run_id, run.fence)

local known = call('GET', name)
if known and cjson.decode(known).fence >= run.fence then
  -- Picked runs carry a deadline; those in a lane do not.
  return call('PTTL', name) >= 0 and 1 or 0
end
if call('EXISTS', key('slot', next_slot)) == 1 then return 1 end

remember_limits(run)
purge(key('slots', tenant))
local others = call('ZCARD', key('slots', tenant)) - call('EXISTS', key('slot', ending))
local nobody_waits = call('EXISTS', key('ring', queue), key('lane', queue, tenant, 'free')) == 0
if nobody_waits and others < run.limits.running then
  drop(ending)
  hold(next_slot, tenant, queue)
  call('SET', name, text, 'PX', ms(PICK_LIFE))
  return 1
end

free(ending)
put(run, text)
return 0
