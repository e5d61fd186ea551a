-- What the gate's decisions share, part 3: how runs come into lanes, lanes into their tenant's ring or out of it to wait
-- for a thing, and tenants into the queue's ring.
--
-- While a thing has something to give and lanes wait for it, one of them at least stands in its tenant's ring: whoever
-- gives a thing back tends it, and so does whoever takes a lane out of a ring, for the things that this lane leaves.

-- Let a tenant stand in the ring, not before the turn that the ring has come to: absence saves up nothing.
local function join(queue, tenant)
  local ring = key('ring', queue)
  if call('ZSCORE', ring, tenant) then return end
  local own = call('ZSCORE', key('left', queue), tenant) or 0
  local turn = call('GET', key('turn', queue)) or call('ZRANGE', ring, 0, 0, 'WITHSCORES')[2] or 0
  call('ZADD', ring, math.max(tonumber(own), tonumber(turn)), tenant)
  call('ZREM', key('later', queue), tenant)
end

-- Let a tenant that waits as a whole be looked at again.
local function unstall(tenant)
  local queues = call('HGET', key('tenant', tenant), 'stalled')
  if not queues then return end
  for queue in pairs(cjson.decode(queues)) do
    if call('EXISTS', key('lanes', queue, tenant)) == 1 then join(queue, tenant) end
  end
  call('HDEL', key('tenant', tenant), 'stalled')
end

-- Take a lane from its tenant's ring until the thing is there.
local function block(queue, tenant, lane, score, fn, thing, at)
  call('ZREM', key('lanes', queue, tenant), lane)
  call('HSET', key('blocked', queue, tenant), lane, cjson.encode({fn, thing}))
  call('ZADD', key('waiters', queue, tenant, fn, thing), score, lane)
  call('SADD', key('sleepers', tenant, thing), cjson.encode({queue, fn}))
  call('ZADD', key('later', queue), 'LT', at, cjson.encode({tenant, fn, thing}))
  keep(key('numbers', tenant, thing), NUMBERS_OF_BLOCKED)
end

-- Let a lane wait no longer; return its score, or nil where it did not wait.
local function unblock(queue, tenant, lane)
  local blocked = key('blocked', queue, tenant)
  local why = call('HGET', blocked, lane)
  if not why then return nil end
  local fn, thing = unpack(cjson.decode(why))
  local waiters = key('waiters', queue, tenant, fn, thing)
  local score = call('ZSCORE', waiters, lane)
  call('HDEL', blocked, lane)
  call('ZREM', waiters, lane)
  if call('EXISTS', waiters) == 0 then
    call('SREM', key('sleepers', tenant, thing), cjson.encode({queue, fn}))
    call('ZREM', key('later', queue), cjson.encode({tenant, fn, thing}))
  end
  return score
end

-- Let the first lane that waits for a thing look whether it can go now, or note when that will be.
local function tend(queue, tenant, fn, thing)
  local waiters = key('waiters', queue, tenant, fn, thing)
  local first = call('ZRANGE', waiters, 0, 0, 'WITHSCORES')
  local lane, score = first[1], first[2]
  if not lane then return end
  local at = open_at(tenant, fn, thing)
  if at > NOW then
    call('ZADD', key('later', queue), 'LT', at, cjson.encode({tenant, fn, thing}))
    return
  end
  unblock(queue, tenant, lane)
  call('ZREM', waiters, lane)  -- also where the server has evicted what `unblock` goes by
  call('ZADD', key('lanes', queue, tenant), score, lane)
  join(queue, tenant)
end

local function tend_all(tenant, thing)
  for _, place in ipairs(call('SMEMBERS', key('sleepers', tenant, thing))) do
    local queue, fn = unpack(cjson.decode(place))
    tend(queue, tenant, fn, thing)
  end
end

local function tend_others(run, except)
  for _, thing in ipairs(things_of(run)) do
    if thing ~= except then tend_all(run.tenant_id, thing) end
  end
end

-- Let a lane stand in its tenant's ring, in this band: where it stood, or last.
local function place(queue, tenant, lane, band)
  local lanes = key('lanes', queue, tenant)
  local score = call('ZSCORE', lanes, lane) or unblock(queue, tenant, lane)
  call('ZADD', lanes, band + (score and score - band_of(score) or stamp()), lane)
  join(queue, tenant)
end

-- Count runs that left the lanes of a queue.
local function uncount(queue, many)
  if call('DECRBY', key('waiting', queue), many) <= 0 then call('DEL', key('waiting', queue)) end
end

-- Take a run out of its lane; a lane without runs is no more.
local function withdraw(run)
  local queue, tenant, lane = run.queue, run.tenant_id, lane_of(run)
  local runs = key('lane', queue, tenant, lane)
  if call('ZREM', runs, run.run_id) == 0 then return end
  uncount(queue, 1)
  if call('EXISTS', runs) == 1 then return end
  if call('ZREM', key('lanes', queue, tenant), lane) == 0 then unblock(queue, tenant, lane) end
  tend_others(run)
  if call('EXISTS', key('lanes', queue, tenant)) == 0 then
    call('ZREM', key('later', queue), tenant)
  end
end

-- Forget a run that was claimed under this fence, wherever it still stands.
local function forget(run_id, fence)
  local text = call('GET', key('run', run_id))
  if not text then return end
  local run = cjson.decode(text)
  if run.fence > fence then return end
  -- One that was picked carries a deadline, and stands in no lane.
  if call('PTTL', key('run', run_id)) < 0 then withdraw(run) end
  call('DEL', key('run', run_id))
end

-- The microseconds that a priority lets a start come sooner by.
local function sooner(run)
  return run.is_resume and 0 or math.max(-43200, math.min(43200, run.priority or 0)) * 1000000
end

-- Whether the run holds something from a pick that came to nothing.
local function holds(run)
  return call('EXISTS', key('slot', slot_name(run.run_id, run.fence)), key('hold', run.run_id)) > 0
end

-- Put a run into its lane with this rank. A new lane that lacks something waits from the start. One that is blocked, or
-- low in the ring, is looked at anew when its new head needs less than the old one.
local function put_at(rank, run, text)
  local queue, tenant, lane = run.queue, run.tenant_id, lane_of(run)
  local runs, band = key('lane', queue, tenant, lane), band_of(rank)
  local head = call('ZRANGE', runs, 0, 0, 'WITHSCORES')[2]
  call('SET', key('run', run.run_id), text)
  call('ZADD', runs, rank, run.run_id)
  call('INCR', key('waiting', queue))
  if not head then
    local thing, at = lacking(run, slot_name(run.run_id, run.fence))
    if thing then return block(queue, tenant, lane, band + stamp(), run['function'], thing, at) end
  end
  local is_less = head and rank < tonumber(head) and not lacking(run, slot_name(run.run_id, run.fence))
  if not head or band < band_of(head) or is_less then place(queue, tenant, lane, band) end
end

-- Put a run into its lane, unless it is known under this fence or a newer one. Its age is the time since which it is
-- queued in the truth; where it carries none, its arrival here.
local function put(run, text)
  local known = call('GET', key('run', run.run_id))
  if known then
    known = cjson.decode(known)
    if known.fence >= run.fence then return end
    withdraw(known)
  end
  local band = (run.is_resume or holds(run)) and RESUME or run.is_internal and INTERNAL or START
  put_at(band + (run.queued_at or stamp()) - sooner(run), run, text)
end
