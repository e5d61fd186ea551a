-- Note that a worker lives: its queues and how many links it takes at once.
--
-- ARGV  3   worker id
--       4   capacity
--       5…  queues
--
-- Keys (table in shared.lua)
--   worker:<worker>  HASH    dead       written anew, so that a queue it no longer serves goes
--   workers:<queue>  SET     dead       the worker is added
--   born             STRING  permanent  set once

local worker = key('worker', ARGV[3])
call('SET', key('born'), NOW, 'NX')
call('DEL', worker)
for i = 5, #ARGV do
  local workers = key('workers', ARGV[i])
  call('HSET', worker, ARGV[i], ARGV[4])
  call('SADD', workers, ARGV[3])
  call('PEXPIRE', workers, ms(DEAD))
end
call('PEXPIRE', worker, ms(DEAD))
