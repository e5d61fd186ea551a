-- Note that a worker lives: its queues and how many links it takes at once.
--
-- ARGV  4   worker id
--       5   capacity
--       6   when the gate began that this process knows, or empty
--       7…  queues
-- Returns when this gate began; where it is another one, that was lost.
--
-- Keys (table in parts/1_keys.lua)
--   worker:<worker>  HASH    dead       written anew, so that a queue it no longer serves goes
--   workers:<queue>  SET     dead       the worker is added
--   born             STRING  permanent  set once
--   lost             STRING  8 days     set where the gate that the process knows is no more
--   settling         STRING  0.3 dead   set with it

local worker = key('worker', ARGV[4])
call('SET', key('born'), NOW, 'NX')
local born = call('GET', key('born'))
if ARGV[6] ~= '' and ARGV[6] ~= born then
  call('SET', key('lost'), born, 'NX', 'PX', LOST_MS)
  call('SET', key('settling'), 1, 'NX', 'PX', ms(SETTLING))
end
call('DEL', worker)
for i = 7, #ARGV do
  local workers = key('workers', ARGV[i])
  call('HSET', worker, ARGV[i], ARGV[5])
  call('SADD', workers, ARGV[4])
  call('PEXPIRE', workers, ms(DEAD))
end
call('PEXPIRE', worker, ms(DEAD))
return born
