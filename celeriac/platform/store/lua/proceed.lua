-- Let a run go on at once, its slots passed to the next link, or put it back into its lane.
--
-- ARGV  4  JSON of the run, with the fence of the next link
-- Returns 1 where the next link may follow, else 0.
--
-- Keys (table in parts/1_keys.lua)
--   run:<run>                STRING  …           read: a second call answers like the first; written
--   slot:…, slots, taken, held  …    …           the slots of the link that ends are passed on or given back
--   hold:<run>, holders      …       one day     written for pools that are held for the run
--   ring:<queue>             ZSET    emptied     read: tenants that could use the slot
--   lanes:<queue>:<tenant>   ZSET    emptied     read: resumes of the same tenant go by age
--   sleepers, waiters        …       emptied     read: resumes that wait for a pool of this run go before it
--   workers, worker, active  …       …           read: whether the slot is closed to a noisy tenant
--   tenant, numbers          …       one day     written
--   lane, waiting, blocked, left, turn, later   as in enqueue.lua and release.lua, on 0

local text = ARGV[4]
local run = cjson.decode(text)
local tenant, queue, fn = run.tenant_id, run.queue, run['function']
local name = key('run', run.run_id)
local ending, next_slot = slot_name(run.run_id, run.fence - 1), slot_name(run.run_id, run.fence)

local known = call('GET', name)
if known and cjson.decode(known).fence >= run.fence then
  -- Picked runs carry a deadline; those in a lane do not.
  return call('PTTL', name) >= 0 and 1 or 0
end
if call('EXISTS', key('slot', next_slot)) == 1 then return 1 end

learn(run)

-- Whether a resume stands at the head of a lane that waits for the thing.
local function is_asked_for(thing)
  for _, sleeper in ipairs(call('SMEMBERS', key('sleepers', tenant, thing))) do
    local other_queue, other_fn = unpack(cjson.decode(sleeper))
    local first = call('ZRANGE', key('waiters', other_queue, tenant, other_fn, thing), 0, 0, 'WITHSCORES')[2]
    if first and band_of(first) == RESUME then return true end
  end
  return false
end

local function pools_let_it_go()
  for _, pool in ipairs(run.pools or {}) do
    local thing = 'pool:' .. pool.name
    local held = key('held', tenant, thing)
    if not pool.is_for_run then
      if is_asked_for(thing) then return false end
      local slots = tonumber(call('HGET', key('numbers', tenant, thing), fn))
      local others = count(held, slots) - (call('ZSCORE', held, ending) and 1 or 0)
      if others >= slots then return false end
    end
  end
  return true
end

local function may_go_on()
  if call('EXISTS', key('ring', queue)) == 1 then return false end
  local first = call('ZRANGE', key('lanes', queue, tenant), 0, 0, 'WITHSCORES')[2]
  if first and band_of(first) == RESUME then return false end
  local slots, taken = key('slots', tenant), key('taken', queue)
  local own = call('EXISTS', key('slot', ending))
  local running, _, _, weight = limits_of(tenant, run)
  local others = count(slots, running) - own
  if others >= running then return false end
  if others > 0 then
    local capacity = capacity_of(queue)
    purge(taken)
    local left = call('ZCARD', taken) - own
    if capacity > 0 and is_closed(queue, tenant, nil, weight, capacity, left) then return false end
  end
  return pools_let_it_go()
end

if may_go_on() then
  drop(ending)
  hold(run.run_id, run.fence, tenant, queue, run.pools, false)
  call('SET', name, text, 'PX', ms(PICK_LIFE))
  return 1
end

free(ending)
put(run, text)
return 0
