-- Take runs by looking at every tenant for each of them: the one with the fewest picks so far is next.
--
-- ARGV  1  most runs to take
-- Returns the ids of the picked runs.
--
-- Keys
--   scan:tenants        SET   all tenants
--   scan:lane:<tenant>  LIST  run ids
--   scan:picked         HASH  tenant -> picks so far

local call = redis.call
local picked = {}
for _ = 1, tonumber(ARGV[1]) do
  local best, fewest = nil, nil
  for _, tenant in ipairs(call('SMEMBERS', 'scan:tenants')) do
    local count = tonumber(call('HGET', 'scan:picked', tenant) or 0)
    if (not fewest or count < fewest) and call('LLEN', 'scan:lane:' .. tenant) > 0 then
      best, fewest = tenant, count
    end
  end
  if not best then break end
  picked[#picked + 1] = call('LPOP', 'scan:lane:' .. best)
  call('HINCRBY', 'scan:picked', best, 1)
end
return picked
