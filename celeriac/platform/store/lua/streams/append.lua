-- Turn drafts of one run into chunks: number them, drop what was told, fail what is superseded. One decision; the twin
-- of streams/book.py.
--
-- KEYS  1   <prefix>:book:<tenant>:<run>  HASH, TTL
--             next    the next number            fence  of the link that told last
--             bytes   how many the stream of the run was told since it began
--             parts   JSON of the open parts: [part, slot, message, run, data], in their order
--             runs    JSON of the open runs: [run, parent, data], in their order
--             p:<part>  which piece comes next; empty when the part is over
--             i:<id>    was told
--       2   <prefix>:chunks:<tenant>:run:<run>  STREAM, TTL; an entry's id is its number + 1
--       3…  <prefix>:chunks:<tenant>:<channel>  STREAM, TTL; an entry's id is the microsecond it came in, or one more
--             fields of an entry: b how many bytes the channel was told before it, e event, d data as JSON,
--             t milliseconds, i id, n number
--             A channel keeps its newest entries, at most so many, and so many bytes of their e, d, t and i; the last
--             one stays, whatever its size. What b grows by is what they come to, so that no count can go wrong
-- ARGV  1   fence; 2 the most chunks of a channel; 3 the most bytes of them; 4 TTL in milliseconds
--       5   whether the chunks are wanted: 1 or 0
--       6   JSON of the drafts: [kind, id, event, timestamp as text, data as JSON, part, slot, message, run, parent,
--           index, span]. One text, for a client spends more on a thousand arguments than on all the rest
-- Returns  where they are wanted, of each chunk: number, event, data, timestamp, id.

local call = redis.call
local book, main = KEYS[1], KEYS[2]
local FENCE, CAP, MOST_BYTES = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local TTL, IS_HEARD = ARGV[4], ARGV[5] == '1'
local PART_FIELDS = {'partId', 'runId', 'messageId', 'type', 'threadId'}
local RUN_FIELDS = {'runId', 'parentRunId', 'scope', 'name', 'messageId', 'threadId'}
local END_FIELDS = {'scope', 'messageId', 'threadId'}
local REASONS = {'error', 'recoverable', 'reason'}
local SUPERSEDED, ENDED = 'superseded by another reply', 'the run ended before it'

local known = call('HMGET', book, 'next', 'fence', 'parts', 'runs', 'bytes')
if known[2] and FENCE < tonumber(known[2]) then return {} end
local number = tonumber(known[1] or 0)
local first = number
local parts = cjson.decode(known[3] or '[]')
local runs = cjson.decode(known[4] or '[]')
local made = {}
-- Without its book a stream begins anew.
local is_anew = not known[1]
-- By key, how many bytes it was told.
local bytes = {[main] = tonumber(known[5] or 0)}

-- What stands before an entry; 0 for one of a version that did not count.
local function bytes_before(entry)
  return entry[2][1] == 'b' and tonumber(entry[2][2]) or 0
end

local function put(key, position, event, id, time, data, ...)
  call('XADD', key, 'MAXLEN', CAP, string.format('%d-0', position),
    'b', bytes[key], 'e', event, 'd', data, 't', time, 'i', id, ...)
  bytes[key] = bytes[key] + #event + #data + #time + #id
end

-- Let the oldest entries of a channel go until the others are small enough.
local function trim(key)
  local least, from = bytes[key] - MOST_BYTES, '-'
  if least <= 0 then return end
  while true do
    local entries = call('XRANGE', key, from, '+', 'COUNT', 10)
    for place, entry in ipairs(entries) do
      local is_last = place == #entries and place < 10
      if is_last or bytes_before(entry) >= least then
        call('XTRIM', key, 'MINID', entry[1])
        return
      end
    end
    from = entries[#entries][1]
  end
end

local clock, positions
local function copy(key, event, id, time, data)
  if not clock then
    local now = call('TIME')
    clock, positions = now[1] * 1000000 + now[2], {}
  end
  if not positions[key] then
    local last = call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
    positions[key], bytes[key] = 0, 0
    if last then
      positions[key], bytes[key] = tonumber(string.match(last[1], '^%d+')), bytes_before(last)
      for k = 4, math.min(#last[2], 10), 2 do bytes[key] = bytes[key] + #last[2][k] end
    end
  end
  local position = math.max(positions[key] + 1, clock)
  positions[key] = position
  put(key, position, event, id, time, data, 'n', number)
end

local function add(event, id, time, data)
  if is_anew then
    call('DEL', main)
    is_anew = false
  end
  put(main, number + 1, event, id, time, data)
  for k = 3, #KEYS do copy(KEYS[k], event, id, time, data) end
  if IS_HEARD then
    for _, value in ipairs({number, event, data, time, id}) do made[#made + 1] = value end
  end
  number = number + 1
end

local function mark(id)
  return call('HSETNX', book, 'i:' .. id, 1) == 1
end

local function pick(from, names, into)
  for _, name in ipairs(names) do
    if from[name] ~= nil then into[name] = from[name] end
  end
  return into
end

-- Fail the open parts of which `is_meant` is true, and keep the others.
local function fail(is_meant, time, err, is_recoverable)
  local left = {}
  for _, part in ipairs(parts) do
    if is_meant(part) then
      call('HSET', book, 'p:' .. part[1], '')
      local data = pick(cjson.decode(part[5]), PART_FIELDS, {error = err, recoverable = is_recoverable})
      add('part.failed', part[1] .. ':failed', time, cjson.encode(data))
    else
      left[#left + 1] = part
    end
  end
  parts = left
end

local function without(run)
  local left = {}
  for _, one in ipairs(runs) do
    if one[1] ~= run then left[#left + 1] = one end
  end
  return left
end

local function conclude(run, event, time, data)
  fail(function(part) return part[4] == run[1] end, time, ENDED, false)
  local id = run[1] .. ':ended'
  if mark(id) then
    local told = pick(cjson.decode(run[3]), RUN_FIELDS, {})
    add(event, id, time, cjson.encode(pick(cjson.decode(data), REASONS, told)))
  end
  runs = without(run[1])
end

local take = {}

function take.once(d)
  if mark(d.id) then add(d.event, d.id, d.time, d.data) end
end

function take.begin(d)
  if mark(d.id) then
    add(d.event, d.id, d.time, d.data)
    runs[#runs + 1] = {d.run, d.parent, d.data}
  end
end

take['end'] = function(d)
  if call('HEXISTS', book, 'i:' .. d.id) == 1 then return end
  local inner, within = {[d.run] = true}, {}
  for _, run in ipairs(runs) do
    if inner[run[2]] and run[1] ~= d.run then
      inner[run[1]] = true
      within[#within + 1] = run
    end
  end
  for k = #within, 1, -1 do conclude(within[k], d.event, d.time, d.data) end
  mark(d.id)
  fail(function(part) return part[4] == d.run end, d.time, ENDED, false)
  add(d.event, d.id, d.time, d.data)
  runs = without(d.run)
end

function take.open(d)
  if call('HEXISTS', book, 'p:' .. d.part) == 1 then return end
  fail(function(part) return part[2] == d.slot and part[3] ~= d.message end, d.time, SUPERSEDED, true)
  add(d.event, d.id, d.time, d.data)
  call('HSET', book, 'p:' .. d.part, 0)
  parts[#parts + 1] = {d.part, d.slot, d.message, d.run, d.data}
end

function take.more(d)
  local place = tonumber(call('HGET', book, 'p:' .. d.part) or '')
  if place and d.index >= place then
    call('HSET', book, 'p:' .. d.part, d.index + d.span)
    add(d.event, d.id, d.time, d.data)
  end
end

function take.done(d)
  if not tonumber(call('HGET', book, 'p:' .. d.part) or '') then return end
  call('HSET', book, 'p:' .. d.part, '')
  local left = {}
  for _, part in ipairs(parts) do
    if part[1] ~= d.part then left[#left + 1] = part end
  end
  parts = left
  add(d.event, d.id, d.time, d.data)
end

function take.settle(d)
  fail(function(part) return part[2] == d.slot end, d.time, SUPERSEDED, true)
end

function take.close(d)
  if #runs == 0 then return end
  local outermost = runs[1]
  for k = #runs, 1, -1 do conclude(runs[k], d.event, d.time, d.data) end
  local id = outermost[1] .. ':stream'
  if mark(id) then
    add('stream.ended', id, d.time, cjson.encode(pick(cjson.decode(outermost[3]), END_FIELDS, {})))
  end
end

for _, d in ipairs(cjson.decode(ARGV[6])) do
  take[d[1]]({
    id = d[2], event = d[3], time = d[4], data = d[5], part = d[6],
    slot = d[7], message = d[8], run = d[9], parent = d[10], index = d[11], span = d[12],
  })
end

if number > first then
  call('HSET', book, 'next', number, 'bytes', bytes[main], 'fence', FENCE,
    'parts', cjson.encode(parts), 'runs', cjson.encode(runs))
  for k = 1, #KEYS do
    if k > 1 then trim(KEYS[k]) end
    call('PEXPIRE', KEYS[k], TTL)
  end
end
return made
