-- Take the runs that may start now: tenants by their turn, each giving the first run of its next lane that has all.
--
-- ARGV  4  queue
--       5  most runs to take
--       6  number of links that have ended
--       7… of each: run id, fence, 1 where its run is over; their slots are freed first
--       …  JSON of runs that arrive; they are put into their lanes next, as enqueue.lua does
-- Returns the JSON of each picked run, in order.
--
-- Keys (table in parts/1_keys.lua)
--   later:<queue>              ZSET    emptied     who is due is looked at; a tenant or thing that lacks is put here
--   ring:<queue>               ZSET    emptied     read from its lowest turn; who is picked moves on by 1 / weight
--   lanes:<queue>:<tenant>     ZSET    emptied     read from its lowest; a lane that is picked moves to the end
--   left, turn                 …       one hour    written for the next to join
--   settling                   STRING  0.3 dead    read: nothing is picked while it is there
--   workers, worker            …       dead        read for the capacity; the dead are removed
--   taken:<queue>              ZSET    1.5 dead    read for the room; picked runs are added
--   active:<queue>             HASH    one minute  read where a tenant is noisy; who is quiet is noted
--   tenant, numbers            …       one day     read; where they are gone, what the run itself was enqueued with
--   lane:<queue>:<tenant>:…    ZSET    emptied     the head is taken
--   waiting:<queue>            STRING  emptied     counted down
--   tenant:<tenant>, born      …       one day +   a start takes a token; where one, or a slot, lacks, the queue is noted
--   tat:<tenant>:<pace>, lost  STRING  a minute +  a start moves it on
--   slots, slot, held, hold, holders               a picked run takes its slots
--   blocked, waiters, sleepers …       emptied     a lane that lacks a thing waits for it
--   run:<run>                  STRING  half dead   from now on the run is known only until its deadline
--
-- Only tenants in the ring and lanes in their rings are looked at, and who cannot go leaves, so the work is in
-- proportion to what is picked, enqueued and released, never to what is blocked.

local first_arriving = 7 + 3 * tonumber(ARGV[6])
for i = 7, first_arriving - 1, 3 do
  forget(ARGV[i], tonumber(ARGV[i + 1]))
  free(slot_name(ARGV[i], tonumber(ARGV[i + 1])))
  if ARGV[i + 2] == '1' then settle(ARGV[i]) end
end
if ARGV[first_arriving] then call('SET', key('born'), NOW, 'NX') end
for i = first_arriving, #ARGV do arrive(ARGV[i]) end

local queue = ARGV[4]
local most = tonumber(ARGV[5])
-- One call never holds the server for long; whom it did not come to stays in the ring for the next. Nor does a tenant
-- with many lanes that cannot go hold up the others: after some vain looks they come first.
local looks = 200 + most
local PATIENCE = 10
local LEAST_WEIGHT = 0.001
local ring, later, left, taken = key('ring', queue), key('later', queue), key('left', queue), key('taken', queue)
local capacity, in_flight = 0, 0
-- Tenants at the front of the ring that are passed over: noisy ones, and those looked at in vain too often.
local passed, weary, vain = 0, 0, {}

local function leave(tenant, turn)
  call('ZREM', ring, tenant)
  call('ZADD', left, turn, tenant)
end

-- Take the whole tenant from the ring until it may have a slot or a token again.
local function stall(tenant, turn, retry_at)
  leave(tenant, turn)
  local name = key('tenant', tenant)
  local queues = cjson.decode(call('HGET', name, 'stalled') or '{}')
  queues[queue] = true
  call('HSET', name, 'stalled', cjson.encode(queues))
  keep(name, LIMITS_LIFE)
  call('ZADD', later, retry_at, tenant)
end

-- The first run of a lane: its JSON, its rank, and the rank of the next, where there is one. A run whose data the server
-- has evicted goes; reconcile brings it back.
local function head_of(runs)
  local first = call('ZRANGE', runs, 0, 1, 'WITHSCORES')
  while first[1] do
    local text = call('GET', key('run', first[1]))
    if text then return text, tonumber(first[2]), first[4] end
    call('ZREM', runs, first[1])
    uncount(queue, 1)
    first = call('ZRANGE', runs, 0, 1, 'WITHSCORES')
  end
end

-- The tenant's next run as `head_of` gives it, with its lane and the lane's score; nil where none of its lanes can go.
local function next_run(tenant)
  local lanes = key('lanes', queue, tenant)
  local first = call('ZRANGE', lanes, 0, 0, 'WITHSCORES')
  while first[1] do
    local lane, score = first[1], tonumber(first[2])
    local text, rank, behind = head_of(key('lane', queue, tenant, lane))
    if not text then
      call('ZREM', lanes, lane)
    elseif band_of(rank) == band_of(score) then
      return text, rank, behind, lane, score
    else  -- the runs that put it into this band are gone
      call('ZADD', lanes, score - band_of(score) + band_of(rank), lane)
    end
    first = call('ZRANGE', lanes, 0, 0, 'WITHSCORES')
  end
end

-- Note a tenant whom headroom is kept for: nothing of it is left waiting here, and it is not noisy.
local function note_quiet(tenant, weight)
  if call('EXISTS', key('blocked', queue, tenant)) == 1 or is_noisy(tenant, weight, capacity, false) then return end
  local active = key('active', queue)
  local last = call('HMGET', active, 'last', 'at')
  if last[1] and last[1] ~= tenant then call('HSET', active, 'other', last[1], 'other_at', last[2]) end
  call('HSET', active, 'last', tenant, 'at', NOW)
  call('PEXPIRE', active, MINUTE_MS)
end

-- Take all that the run needs and move its lane and tenant on; `behind` is the rank of the run behind it.
local function take(run, held, behind, lane, turn, weight)
  local tenant = run.tenant_id
  local lanes = key('lanes', queue, tenant)
  turn = turn + 1 / math.max(weight, LEAST_WEIGHT)
  hold(run.run_id, run.fence, tenant, queue, run.pools, held)
  in_flight = in_flight + 1
  call('ZREM', key('lane', queue, tenant, lane), run.run_id)
  call('PEXPIRE', key('run', run.run_id), ms(PICK_LIFE))
  if behind then
    call('ZADD', lanes, band_of(behind) + stamp(), lane)
  else
    call('ZREM', lanes, lane)
  end
  if behind or call('EXISTS', lanes) == 1 then
    call('ZADD', ring, turn, tenant)
  else
    leave(tenant, turn)
    note_quiet(tenant, weight)
  end
  if run.pools or run.pace then tend_others(run) end
end

-- Take a start's token and its turn in its pace. One that stood here when its turn came has it of that time, though
-- nobody picked just then: what a tick comes late by is not lost, and what nobody waited for is not saved up.
local function pay(run, rank, tokens, rate, burst)
  local tenant = run.tenant_id
  if tokens then
    local name = key('tenant', tenant)
    call('HSET', name, 'bucket', string.format('%.17g %.0f', tokens - 1, NOW))
    keep(name, math.min(1e15, (burst - tokens + 1) / rate * 1000000 + MINUTE_MS * 1000))
  end
  if run.pace then
    local thing = 'pace:' .. run.pace.name
    local emission, size = pace_of(tenant, run['function'], thing)
    -- The age is by the database's clock, which may be ahead of this one.
    local turn = math.max(math.min(rank - band_of(rank) + sooner(run), NOW), NOW - LATE)
    local tat = math.max(turn, tat_of(tenant, thing, emission, size)) + emission
    call('SET', key('tat', tenant, thing), tat, 'PX', ms(tat - NOW) + MINUTE_MS)
  end
end

-- Pick the tenant's next run, or take what stands in the way out of its ring and return nil.
local function pick_from(tenant, turn)
  local text, rank, behind, lane, score = next_run(tenant)
  if not text then return leave(tenant, turn) end
  local run = cjson.decode(text)
  local slot = slot_name(run.run_id, run.fence)
  local running, rate, burst, weight, bucket = limits_of(tenant, run)
  local slots = key('slots', tenant)
  -- What the run holds from a pick that came to nothing is as good as what is free, and paid for.
  local held = call('GET', key('slot', slot))
  if not held and count(slots, running) >= running then
    return stall(tenant, turn, call('ZRANGE', slots, 0, 0, 'WITHSCORES')[2] or 'inf')
  end
  if not held and is_closed(queue, tenant, lane, weight, capacity, in_flight) then
    passed = passed + 1
    return
  end
  local tokens = nil
  if not held and band_of(score) == START then
    tokens = tokens_of(bucket, rate, burst)
    if tokens < 1 then return stall(tenant, turn, NOW + math.ceil((1 - tokens) / rate * 1000000)) end
  end
  local thing, at = lacking(run, slot)
  if thing then
    block(queue, tenant, lane, score, run['function'], thing, at)
    tend_others(run, thing)
    vain[tenant] = (vain[tenant] or 0) + 1
    if vain[tenant] == PATIENCE then passed, weary = passed + 1, weary + 1 end
    return
  end
  if not held and not run.is_resume then pay(run, rank, tokens, rate, burst) end
  take(run, held, behind, lane, turn, weight)
  return text
end

for _, due in ipairs(call('ZRANGEBYSCORE', later, '-inf', NOW, 'LIMIT', 0, looks)) do
  call('ZREM', later, due)
  if due:sub(1, 1) == '[' then
    local tenant, fn, thing = unpack(cjson.decode(due))
    tend(queue, tenant, fn, thing)
  else
    join(queue, due)
  end
end

local picked = {}
local first = call('ZRANGE', ring, 0, 0, 'WITHSCORES')
if not first[1] or call('EXISTS', key('settling')) == 1 then return picked end
capacity = capacity_of(queue)
purge(taken)
in_flight = call('ZCARD', taken)
most = math.min(most, math.floor((capacity * 12 + 9) / 10) - in_flight)
local turn = nil
while #picked < most and looks > 0 do
  -- Noisy tenants keep their turns at the front: they get their share of what is open to them.
  first = call('ZRANGE', ring, passed, passed, 'WITHSCORES')
  if first[1] then
    local text = pick_from(first[1], tonumber(first[2]))
    if text then
      picked[#picked + 1] = text
      turn = tonumber(first[2])
    end
    looks = looks - 1
  elseif weary > 0 then
    passed, weary, vain = 0, 0, {}
  else
    break
  end
end

if turn then
  uncount(queue, #picked)
  call('SET', key('turn', queue), turn, 'PX', TURN_MS)
  call('ZREMRANGEBYSCORE', left, '-inf', turn)
end
if looks < 200 + tonumber(ARGV[5]) then call('PEXPIRE', left, TURN_MS) end
return picked
