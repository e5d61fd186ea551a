-- Take the runs that may start now: tenants in turn, each giving the first of its runs that has all it needs.
--
-- ARGV  3  queue
--       4  most runs to take
--       5  number of links that have ended
--       6… of each: run id, fence; their slots are freed first
--       …  JSON of runs that arrive; they are put into their lanes next, as enqueue.lua does
-- Returns the JSON of each picked run, in order.
--
-- Keys (table in shared.lua)
--   later:<queue>            ZSET    emptied     those due join the ring; a tenant that lacks something is put here
--   ring:<queue>             ZSET    emptied     read from its lowest turn; who is picked moves one turn on
--   left, turn               …       one hour    written for the next to join
--   workers:<queue>          SET     dead        read; the dead are removed
--   worker:<worker>          HASH    dead        read for the capacity
--   taken:<queue>            ZSET    1.5 dead    read for the room; picked runs are added
--   limits:<tenant>          HASH    one day     read; where it is gone, what the run itself was enqueued with
--   lane:<queue>:<tenant>:…  ZSET    emptied     the head is taken
--   waiting:<queue>          STRING  emptied     counted down
--   bucket:<tenant>, born    …       until full  a start takes a token
--   slots:<tenant>, slot:…   …       1.5 dead    a picked run takes its slot
--   full:<tenant>            SET     3 dead      the queue is noted where a slot is missing, so that `free` can rejoin
--   run:<run>                STRING  half dead   from now on the run is known only until its deadline
--
-- Only tenants in the ring are looked at, and one that cannot go leaves it, so the work is in proportion to what is
-- picked, enqueued and released, never to what is blocked.

local first_arriving = 6 + 2 * tonumber(ARGV[5])
for i = 6, first_arriving - 1, 2 do
  forget(ARGV[i], tonumber(ARGV[i + 1]))
  free(slot_name(ARGV[i], tonumber(ARGV[i + 1])))
end
if ARGV[first_arriving] then call('SET', key('born'), NOW, 'NX') end
for i = first_arriving, #ARGV do
  local run = cjson.decode(ARGV[i])
  remember_limits(run)
  put(run, ARGV[i])
end

local queue = ARGV[3]
local most = tonumber(ARGV[4])
-- One call never holds the server for long; whom it did not come to stays in the ring for the next.
local looks = 500 + most
local ring, later, left, taken = key('ring', queue), key('later', queue), key('left', queue), key('taken', queue)

local function room()
  local capacity = 0
  for _, worker in ipairs(call('SMEMBERS', key('workers', queue))) do
    local share = call('HGET', key('worker', worker), queue)
    if share then capacity = capacity + share else call('SREM', key('workers', queue), worker) end
  end
  purge(taken)
  return math.floor((capacity * 12 + 9) / 10) - call('ZCARD', taken)
end

-- Tokens at this moment. An unknown bucket was empty when the gate began, so a lost Redis gives no second burst.
local function tokens_of(tenant, rate, burst)
  local bucket = call('HMGET', key('bucket', tenant), 'tokens', 'at')
  local at = tonumber(bucket[2] or call('GET', key('born')) or NOW)
  return math.min(burst, (bucket[1] or 0) + math.max(0, NOW - at) * rate / 1000000)
end

local function take_token(tenant, tokens, rate, burst)
  call('HSET', key('bucket', tenant), 'tokens', tokens - 1, 'at', NOW)
  call('PEXPIRE', key('bucket', tenant), math.min(1e12, math.ceil((burst - tokens + 1) / rate * 1000)))
end

local function leave(tenant, turn)
  call('ZREM', ring, tenant)
  call('ZADD', left, turn, tenant)
end

local function block(tenant, turn, retry_at)
  leave(tenant, turn)
  call('ZADD', later, retry_at, tenant)
end

-- The first run of a lane as JSON, and its rank. One whose data the server has evicted goes; reconcile brings it back.
local function head_of(lane)
  local head = call('ZRANGE', lane, 0, 0, 'WITHSCORES')
  while head[1] do
    local text = call('GET', key('run', head[1]))
    if text then return text, tonumber(head[2]) end
    withdraw(lane, head[1], queue)
    head = call('ZRANGE', lane, 0, 0, 'WITHSCORES')
  end
end

local function limits_of(tenant, text)
  local newest = call('HMGET', key('limits', tenant), 'running', 'rate', 'burst')
  if newest[1] then return tonumber(newest[1]), tonumber(newest[2]), tonumber(newest[3]) end
  local limits = cjson.decode(text).limits
  return limits.running, limits.starts_per_second, limits.starts_burst
end

-- Pick the tenant's next run, or take the tenant out of the ring and return nil.
local function pick_from(tenant, turn)
  local free_lane, start_lane = key('lane', queue, tenant, 'free'), key('lane', queue, tenant, 'starts')
  local text, rank = head_of(free_lane)
  local start, start_rank = head_of(start_lane)
  if not text and not start then return leave(tenant, turn) end

  local running, rate, burst = limits_of(tenant, text or start)
  local lane, tokens = free_lane, nil
  if start and (not text or start_rank < rank) then
    tokens = tokens_of(tenant, rate, burst)
    if tokens >= 1 then
      text, lane = start, start_lane
    elseif not text then
      return block(tenant, turn, NOW + math.ceil((1 - tokens) / rate * 1000000))
    end
  end

  local run = cjson.decode(text)
  local slot = slot_name(run.run_id, run.fence)
  local slots = key('slots', tenant)
  purge(slots)
  -- A slot that the run holds from a pick that came to nothing is as good as a free one.
  if call('ZCARD', slots) >= running and not call('ZSCORE', slots, slot) then
    call('SADD', key('full', tenant), queue)
    call('PEXPIRE', key('full', tenant), ms(2 * SLOT_LIFE))
    return block(tenant, turn, call('ZRANGE', slots, 0, 0, 'WITHSCORES')[2] or 'inf')
  end

  if lane == start_lane then take_token(tenant, tokens, rate, burst) end
  hold(slot, tenant, queue)
  withdraw(lane, run.run_id, queue)
  call('PEXPIRE', key('run', run.run_id), ms(PICK_LIFE))
  if has_runs(queue, tenant) then
    call('ZADD', ring, turn + 1, tenant)
  else
    leave(tenant, turn + 1)
  end
  return text
end

for _, tenant in ipairs(call('ZRANGEBYSCORE', later, '-inf', NOW, 'LIMIT', 0, looks)) do
  join(queue, tenant)
end

local picked = {}
local first = call('ZRANGE', ring, 0, 0, 'WITHSCORES')
if not first[1] then return picked end
most = math.min(most, room())
local turn = nil
while #picked < most and looks > 0 and first[1] do
  turn = tonumber(first[2])
  picked[#picked + 1] = pick_from(first[1], turn)
  looks = looks - 1
  first = call('ZRANGE', ring, 0, 0, 'WITHSCORES')
end

if turn then
  call('SET', key('turn', queue), turn, 'PX', TURN_MS)
  call('ZREMRANGEBYSCORE', left, '-inf', turn)
  call('PEXPIRE', left, TURN_MS)
end
return picked
