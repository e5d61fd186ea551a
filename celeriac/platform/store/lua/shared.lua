-- What the gate's decisions share: the time, the names of the keys, and the moves that more than one of them makes.
--
-- redis_scripts.py puts this file before each decision, so that one decision is one atomic script. Key names are made
-- here from tenants and queues found on the way: the gate needs one Redis (6.2 or newer), not a cluster.
--
-- ARGV of every decision (no KEYS)
--   1  prefix of all keys
--   2  dead time in microseconds
--   3… the decision's own
--
-- Keys, each behind `<prefix>:gate:`
--   name                            type    TTL                  meaning
--   run:<run>                       STRING  none | half dead     JSON of a run that waits in a lane (none) or is picked
--   lane:<queue>:<tenant>:free      ZSET    emptied              run -> rank: resumes, then starts that need no token
--   lane:<queue>:<tenant>:starts    ZSET    emptied              run -> rank: starts that take a token
--   waiting:<queue>                 STRING  emptied              how many runs stand in the lanes
--   ring:<queue>                    ZSET    emptied              tenant that may be picked -> its next turn
--   later:<queue>                   ZSET    emptied              tenant that is blocked -> when to look at it again
--   left:<queue>                    ZSET    one hour             tenant outside the ring -> the turn it had come to
--   turn:<queue>                    STRING  one hour             the turn of the last pick
--   slots:<tenant>                  ZSET    1.5 dead             run:fence -> expiry of the tenant's running links
--   taken:<queue>                   ZSET    1.5 dead             run:fence -> expiry of the queue's links in flight
--   slot:<run>:<fence>              STRING  1.5 dead             JSON [tenant, queue] of one slot
--   full:<tenant>                   SET     3 dead               queues on which the tenant waits for a slot
--   bucket:<tenant>                 HASH    until full           tokens of run starts, and the time they were counted
--   limits:<tenant>                 HASH    one day              running, rate, burst as the last enqueue gave them
--   worker:<worker>                 HASH    dead                 queue -> capacity of a live worker
--   workers:<queue>                 SET     dead                 workers that attended the queue
--   born                            STRING  permanent            when this gate began: unknown buckets were empty then
-- Times are the server's, in microseconds; `emptied` keys vanish with their last member.

local call = redis.call
local clock = call('TIME')
local NOW = clock[1] * 1000000 + clock[2]
local DEAD = tonumber(ARGV[2])
-- Long enough for a worker that was taken for dead to have cancelled its own links (10 s dead: 15 s).
local SLOT_LIFE = DEAD * 1.5
-- How long a picked run may be on its way before reconcile asks for it again.
local PICK_LIFE = DEAD * 0.5
local TURN_MS = 3600000
local LIMITS_MS = 86400000
-- Added to the rank of a start: every resume is before every start, and the sum is still exact in a double.
local START = 2 ^ 52

local function key(...)
  return ARGV[1] .. ':gate:' .. table.concat({...}, ':')
end

local function ms(micros)
  return math.ceil(micros / 1000)
end

local function purge(zset)
  call('ZREMRANGEBYSCORE', zset, '-inf', NOW)
end

local function lane_of(run)
  local needs_token = not run.is_resume and not run.is_internal
  return key('lane', run.queue, run.tenant_id, needs_token and 'starts' or 'free')
end

local function has_runs(queue, tenant)
  return call('EXISTS', key('lane', queue, tenant, 'free'), key('lane', queue, tenant, 'starts')) > 0
end

-- Let a tenant stand in the ring, not before the turn that the ring has come to: absence saves up nothing.
local function join(queue, tenant)
  local ring = key('ring', queue)
  if call('ZSCORE', ring, tenant) then return end
  local own = call('ZSCORE', key('left', queue), tenant) or 0
  local turn = call('GET', key('turn', queue)) or call('ZRANGE', ring, 0, 0, 'WITHSCORES')[2] or 0
  call('ZADD', ring, math.max(tonumber(own), tonumber(turn)), tenant)
  call('ZREM', key('later', queue), tenant)
end

local function withdraw(lane, run_id, queue)
  if call('ZREM', lane, run_id) == 1 and call('DECR', key('waiting', queue)) <= 0 then
    call('DEL', key('waiting', queue))
  end
end

-- Forget a run that was claimed under this fence, wherever it still stands.
local function forget(run_id, fence)
  local text = call('GET', key('run', run_id))
  if not text then return end
  local run = cjson.decode(text)
  if run.fence > fence then return end
  withdraw(lane_of(run), run_id, run.queue)
  call('DEL', key('run', run_id))
end

-- Limits travel with the runs; the newest hold for all runs of the tenant.
local function remember_limits(run)
  local name, limits = key('limits', run.tenant_id), run.limits
  call('HSET', name, 'running', limits.running, 'rate', limits.starts_per_second, 'burst', limits.starts_burst)
  call('PEXPIRE', name, LIMITS_MS)
end

-- Put a run at the end of its lane, unless it is known under this fence or a newer one. Its age is its arrival here;
-- `arrivals` keeps the order inside one call.
local arrivals = 0
local function put(run, text)
  local known = call('GET', key('run', run.run_id))
  if known then
    known = cjson.decode(known)
    if known.fence >= run.fence then return end
    withdraw(lane_of(known), run.run_id, known.queue)
  end
  local rank = NOW + arrivals + (run.is_resume and 0 or START)
  arrivals = arrivals + 1
  call('SET', key('run', run.run_id), text)
  call('ZADD', lane_of(run), rank, run.run_id)
  call('INCR', key('waiting', run.queue))
  join(run.queue, run.tenant_id)
end

local function slot_name(run_id, fence)
  return run_id .. ':' .. string.format('%d', fence)
end

-- Take the slot of one link, or put off its expiry.
local function hold(slot, tenant, queue)
  for _, zset in ipairs({key('slots', tenant), key('taken', queue)}) do
    call('ZADD', zset, NOW + SLOT_LIFE, slot)
    call('PEXPIRE', zset, ms(SLOT_LIFE))
  end
  call('SET', key('slot', slot), cjson.encode({tenant, queue}), 'PX', ms(SLOT_LIFE))
end

-- Give back exactly this slot; return its tenant, or nil where nobody held it.
local function drop(slot)
  local held = call('GET', key('slot', slot))
  if not held then return nil end
  local tenant, queue = unpack(cjson.decode(held))
  call('DEL', key('slot', slot))
  call('ZREM', key('slots', tenant), slot)
  call('ZREM', key('taken', queue), slot)
  return tenant
end

-- Give back a slot, and let its tenant into the rings where it waits for one.
local function free(slot)
  local tenant = drop(slot)
  if not tenant then return end
  for _, queue in ipairs(call('SMEMBERS', key('full', tenant))) do
    if has_runs(queue, tenant) then join(queue, tenant) end
  end
  call('DEL', key('full', tenant))
end

