-- Take runs from the head of one plain list, for as long as there is room and the head may start.
--
-- ARGV  1  prefix of all keys
--       2  life of a slot in microseconds
--       3  queue
--       4  most runs to take
--       5… members run:fence of links that have ended
-- Returns the JSON of each picked run.
--
-- Keys, each behind the prefix
--   list:<queue>      LIST  run ids in the order of their arrival
--   runs              HASH  run -> JSON
--   taken:<queue>     ZSET  run:fence -> expiry
--   workers:<queue>   HASH  worker -> capacity
--   bucket:<tenant>   HASH  tokens, at

local call = redis.call
local clock = call('TIME')
local NOW = clock[1] * 1000000 + clock[2]
local prefix, queue = ARGV[1], ARGV[3]
local list, runs, taken = prefix .. 'list:' .. queue, prefix .. 'runs', prefix .. 'taken:' .. queue

for i = 5, #ARGV do call('ZREM', taken, ARGV[i]) end
call('ZREMRANGEBYSCORE', taken, '-inf', NOW)

local capacity = 0
for _, share in ipairs(call('HVALS', prefix .. 'workers:' .. queue)) do capacity = capacity + share end
local room = math.min(tonumber(ARGV[4]), math.floor((capacity * 12 + 9) / 10) - call('ZCARD', taken))

-- A run at the head that may not start yet holds up all behind it: that is what a plain list does.
local function may_start(run)
  if run.is_resume or run.rate <= 0 then return true end
  local name = prefix .. 'bucket:' .. run.tenant_id
  local bucket = call('HMGET', name, 'tokens', 'at')
  local tokens = math.min(run.burst, (bucket[1] or run.burst) + (NOW - (bucket[2] or NOW)) * run.rate / 1000000)
  local has_token = tokens >= 1
  call('HSET', name, 'tokens', tostring(has_token and tokens - 1 or tokens), 'at', NOW)
  return has_token
end

local picked = {}
while #picked < room do
  local run_id = call('LINDEX', list, 0)
  if not run_id then break end
  local text = call('HGET', runs, run_id)
  if text then
    local run = cjson.decode(text)
    if not may_start(run) then break end
    call('ZADD', taken, NOW + tonumber(ARGV[2]), run_id .. ':' .. string.format('%d', run.fence))
    picked[#picked + 1] = text
  end
  call('LPOP', list)
end
return picked
