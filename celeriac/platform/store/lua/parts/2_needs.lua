-- What the gate's decisions share, part 2: what a run needs, the newest numbers for it, and when it is there.

-- The pools and the pace of a run as things.
local function things_of(run)
  local things = {}
  for _, pool in ipairs(run.pools or {}) do things[#things + 1] = 'pool:' .. pool.name end
  if run.pace then things[#things + 1] = 'pace:' .. run.pace.name end
  return things
end

-- The lane of its tenant and queue that a run stands in: runs that need the same.
local function lane_of(run)
  local things = things_of(run)
  if #things == 0 then return run['function'] end
  return run['function'] .. '#' .. redis.sha1hex(table.concat(things, '\0'))
end

local function lane_key(run)
  return key('lane', run.queue, run.tenant_id, lane_of(run))
end

-- The numbers that a run carries for its things, as they are kept.
local function numbers_in(run)
  local numbers = {}
  for _, pool in ipairs(run.pools or {}) do numbers['pool:' .. pool.name] = string.format('%d', pool.slots) end
  local pace = run.pace
  if pace then numbers['pace:' .. pace.name] = string.format('%.17g %d', pace.per / pace.starts, pace.burst) end
  return numbers
end

local function pace_of(tenant, fn, thing)
  local emission, burst = call('HGET', key('numbers', tenant, thing), fn):match('(%S+) (%S+)')
  return tonumber(emission), tonumber(burst)
end

-- When a pace is as good as unused. One that was lost had given all at that moment, and is not held against anybody for
-- more than a minute.
local lost = nil
local function tat_of(tenant, thing, emission, burst)
  local tat = call('GET', key('tat', tenant, thing))
  if tat then return tonumber(tat) end
  lost = lost or tonumber(call('GET', key('lost')) or 0)
  return lost == 0 and 0 or lost + emission * (burst - 1) + math.min(emission, 60000000)
end

-- When a thing has something to give to this function's runs: a time in the past, or the earliest that is possible.
-- What nobody remembers a number for is looked at again.
local function open_at(tenant, fn, thing)
  local number = call('HGET', key('numbers', tenant, thing), fn)
  if not number then return 0 end
  if thing:sub(1, 5) == 'pace:' then
    local emission, burst = pace_of(tenant, fn, thing)
    return tat_of(tenant, thing, emission, burst) - emission * (burst - 1)
  end
  local held = key('held', tenant, thing)
  if count(held, tonumber(number)) < tonumber(number) then return 0 end
  return tonumber(call('ZRANGE', held, 0, 0, 'WITHSCORES')[2]) or math.huge
end

-- The first pool that a run lacks, and when it may be there; nil where it lacks none. What it holds already, from a pick
-- that came to nothing or since its start, it does not lack.
local function lacking_pool(run, slot)
  local tenant, fn = run.tenant_id, run['function']
  for _, pool in ipairs(run.pools or {}) do
    local thing = 'pool:' .. pool.name
    if not (pool.is_for_run and run.is_resume) then
      local at = open_at(tenant, fn, thing)
      local member = pool.is_for_run and run.run_id or slot
      if at > NOW and not call('ZSCORE', key('held', tenant, thing), member) then return thing, at end
    end
  end
end

-- The first thing that a run lacks, and when it may be there; nil where it lacks none.
local function lacking(run, slot)
  if not run.pools and not run.pace then return nil end
  local tenant, fn = run.tenant_id, run['function']
  local numbers = numbers_in(run)
  for thing, number in pairs(numbers) do
    local name = key('numbers', tenant, thing)
    if call('HSETNX', name, fn, number) == 1 then keep(name, NUMBERS_LIFE) end
  end
  local lacks, since = lacking_pool(run, slot)
  if lacks then return lacks, since end
  if run.pace and not run.is_resume then
    local thing = 'pace:' .. run.pace.name
    local at = open_at(tenant, fn, thing)
    if at > NOW and call('EXISTS', key('slot', slot)) == 0 then return thing, at end
  end
end

-- Running, rate, burst and weight of a tenant, and its bucket as it is kept; where nobody remembers the limits, as the
-- run itself carries them.
local function limits_of(tenant, run)
  local newest, bucket = unpack(call('HMGET', key('tenant', tenant), 'limits', 'bucket'))
  if newest then
    local running, rate, burst, weight = newest:match('(%S+) (%S+) (%S+) (%S+)')
    return tonumber(running), tonumber(rate), tonumber(burst), tonumber(weight), bucket
  end
  local limits = run.limits
  return limits.running, limits.starts_per_second, limits.starts_burst, limits.weight or 1, bucket
end

-- Tokens at this moment. An unknown bucket was empty when the gate began, so a lost Redis gives no second burst.
local born = nil
local function tokens_of(bucket, rate, burst)
  local tokens, at = 0, nil
  if bucket then
    tokens, at = bucket:match('(%S+) (%S+)')
  else
    born = born or call('GET', key('born')) or NOW
    at = born
  end
  return math.min(burst, tokens + math.max(0, NOW - at) * rate / 1000000)
end

-- The slots of a queue's live workers.
local function capacity_of(queue)
  local capacity = 0
  for _, worker in ipairs(call('SMEMBERS', key('workers', queue))) do
    local share = call('HGET', key('worker', worker), queue)
    if share then capacity = capacity + share else call('SREM', key('workers', queue), worker) end
  end
  return capacity
end

-- Whether the tenant is noisy: it has many of the slots. Many is more for one who counts for more than one, and of few
-- slots it is less for one of whom more waits.
local function is_noisy(tenant, weight, capacity, has_more)
  local many = (math.floor(capacity * 0.1) + 1) * math.max(1, weight)
  if capacity >= 40 then
    many = math.max(30 * math.max(1, weight), many)
  else
    many = has_more and math.min(many, capacity * 0.75) or capacity * 0.75
  end
  return count(key('slots', tenant), many) >= many
end

-- Whether more of the tenant waits on the queue than the first run of this lane.
local function has_more(queue, tenant, lane)
  return call('ZCARD', key('lane', queue, tenant, lane)) > 1
    or call('ZCARD', key('lanes', queue, tenant)) + call('HLEN', key('blocked', queue, tenant)) > 1
end

-- Whether these slots of the queue are closed to the tenant: it is noisy, and another, who is quiet, was seen lately. The
-- lane is that of its run which waits for them, or nil where none does.
local function is_closed(queue, tenant, lane, weight, capacity, taken)
  if taken < capacity - math.ceil(capacity / 4) then return false end
  if not is_noisy(tenant, weight, capacity, lane and has_more(queue, tenant, lane)) then return false end
  local active = call('HMGET', key('active', queue), 'last', 'at', 'other', 'other_at')
  local other_at = active[1] ~= tenant and active[2] or active[4] or 0
  return tonumber(other_at) > NOW - ACTIVE
end
