-- What all decisions in this folder begin with: the time, which stands still within one.
--
-- redis_scripts.py puts it before the parts of each kind of decision.
--
-- ARGV  1  the time in microseconds, or empty for the server's own: only tests that move the clock give one

local call = redis.call
local NOW = tonumber(ARGV[1])
if not NOW then
  local clock = call('TIME')
  NOW = clock[1] * 1000000 + clock[2]
end

