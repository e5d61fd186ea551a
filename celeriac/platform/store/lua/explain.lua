-- Say why a run that stands in a lane is not picked now.
--
-- ARGV  4  run id
-- Returns nil where it does not stand in a lane, else {reason, name or '', until in microseconds or ''}.
--
-- Keys (table in parts/1_keys.lua): those that pick.lua decides by, all read only; expired slots are removed.

local run_id = ARGV[4]
local text = call('GET', key('run', run_id))
if not text then return nil end
local run = cjson.decode(text)
local tenant, queue = run.tenant_id, run.queue
local rank = call('ZSCORE', lane_key(run), run_id)
if not rank then return nil end

local function micros(at)
  return at == math.huge and '' or string.format('%.0f', math.ceil(at))
end

-- How many go before it in its lane, of those that need a token too, or a turn in the pace.
local function ahead(band)
  return call('ZCOUNT', lane_key(run), band, '(' .. rank)
end

local slot = slot_name(run_id, run.fence)
local running, rate, burst, weight, bucket = limits_of(tenant, run)
local slots, taken = key('slots', tenant), key('taken', queue)
local capacity = capacity_of(queue)
purge(taken)
local in_flight = call('ZCARD', taken)
if call('ZSCORE', slots, slot) then return {'turn', '', ''} end
if count(slots, running) >= running then return {'running', '', ''} end
if band_of(rank) == START then
  local tokens = tokens_of(bucket, rate, burst)
  if tokens < 1 then return {'starts', '', micros(NOW + (1 - tokens + ahead(START)) / rate * 1000000)} end
end
local thing, at = lacking(run, slot)
if thing then
  local kind, name = thing:match('^(%a+):(.*)$')
  if kind == 'pool' then return {kind, name, ''} end
  return {kind, name, micros(at + ahead(INTERNAL) * pace_of(tenant, run['function'], thing))}
end
if in_flight >= math.floor((capacity * 12 + 9) / 10) then return {'room', '', ''} end
if is_closed(queue, tenant, lane_of(run), weight, capacity, in_flight) then return {'noisy', '', ''} end
return {'turn', '', ''}
