-- What the gate's decisions share, part 4: how links and runs take slots and give them back, and how the gate learns.

-- Confirm that a run holds these things for itself.
local function confirm(run_id, tenant, things)
  for _, thing in ipairs(things) do
    call('ZADD', key('held', tenant, thing), NOW + RUN_LIFE, run_id)
    keep(key('held', tenant, thing), RUN_LIFE)
  end
  call('SET', key('hold', run_id), cjson.encode({tenant, things}), 'PX', ms(RUN_LIFE))
  call('ZADD', key('holders'), NOW, run_id)
  call('PEXPIRE', key('holders'), ms(RUN_LIFE))
end

-- Confirm that a run holds those of its pools that are for the run.
local function hold_run(run_id, tenant, pools)
  local things = {}
  for _, pool in ipairs(pools or {}) do
    if pool.is_for_run then things[#things + 1] = 'pool:' .. pool.name end
  end
  if #things > 0 then confirm(run_id, tenant, things) end
end

-- Give back what was held for a run that has ended.
local function settle(run_id)
  local hold = call('GET', key('hold', run_id))
  if not hold then return end
  local tenant, things = unpack(cjson.decode(hold))
  call('DEL', key('hold', run_id))
  call('ZREM', key('holders'), run_id)
  for _, thing in ipairs(things) do
    call('ZREM', key('held', tenant, thing), run_id)
    tend_all(tenant, thing)
  end
end

-- Take the slots of one link, or put off their expiry. Those that it holds already are known best from its slot: the
-- text of it, or false where it has none.
local refreshed = {}
local function hold(run_id, fence, tenant, queue, pools, held)
  local slot, things = slot_name(run_id, fence), {}
  if held then
    things = cjson.decode(held)[3] or things
  else
    for _, pool in ipairs(pools or {}) do
      if not pool.is_for_run then things[#things + 1] = 'pool:' .. pool.name end
    end
  end
  for _, zset in ipairs({key('slots', tenant), key('taken', queue)}) do
    call('ZADD', zset, NOW + SLOT_LIFE, slot)
    -- Once a script is enough: none gives slots back after it has taken some, so no key is made anew meanwhile.
    if not refreshed[zset] then call('PEXPIRE', zset, ms(SLOT_LIFE)) end
    refreshed[zset] = true
  end
  for _, thing in ipairs(things) do
    local members = key('held', tenant, thing)
    call('ZADD', members, NOW + SLOT_LIFE, slot)
    keep(members, SLOT_LIFE)
  end
  local text = held or cjson.encode(#things > 0 and {tenant, queue, things} or {tenant, queue})
  call('SET', key('slot', slot), text, 'PX', ms(SLOT_LIFE))
  if pools then hold_run(run_id, tenant, pools) end
end

-- As `hold`, of a link that may hold them already.
local function take_anew(run_id, fence, tenant, queue, pools)
  hold(run_id, fence, tenant, queue, pools, call('GET', key('slot', slot_name(run_id, fence))))
end

-- Give back exactly the slots of this link; return its tenant and its pools, or nil where nobody held it.
local function drop(slot)
  local held = call('GETDEL', key('slot', slot))
  if not held then return nil end
  local tenant, queue, things = unpack(cjson.decode(held))
  call('ZREM', key('slots', tenant), slot)
  call('ZREM', key('taken', queue), slot)
  for _, thing in ipairs(things or {}) do call('ZREM', key('held', tenant, thing), slot) end
  return tenant, things or {}
end

-- Give back the slots of a link, and let those who wait for one look again.
local function free(slot)
  local tenant, things = drop(slot)
  if not tenant then return end
  unstall(tenant)
  for _, thing in ipairs(things) do tend_all(tenant, thing) end
end

-- Limits travel with the runs; the newest hold for all that is queued. What was changed is looked at again.
local learned = {}
local function learn(run)
  local tenant, limits = run.tenant_id, run.limits
  local text = string.format('%d %.17g %d %.17g', limits.running, limits.starts_per_second, limits.starts_burst,
                             limits.weight or 1)
  if learned[tenant] ~= text then
    learned[tenant] = text
    local name = key('tenant', tenant)
    local known = call('HGET', name, 'limits')
    call('HSET', name, 'limits', text)
    keep(name, LIMITS_LIFE)
    if known and known ~= text then unstall(tenant) end
  end
  if not run.pools and not run.pace then return end
  for thing, number in pairs(numbers_in(run)) do
    local numbers = key('numbers', tenant, thing)
    local known = call('HGET', numbers, run['function'])
    if known ~= number then
      call('HSET', numbers, run['function'], number)
      if known then tend_all(tenant, thing) end
    end
    keep(numbers, NUMBERS_LIFE)
  end
end

-- Take in a run that is queued. A resume has begun, so it holds what is held for the run.
local function arrive(text)
  local run = cjson.decode(text)
  learn(run)
  put(run, text)
  if run.pools and run.is_resume then hold_run(run.run_id, run.tenant_id, run.pools) end
end
