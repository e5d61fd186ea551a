-- Note that a worker lives: its queues and how many links it takes at once.
--
-- ARGV  4   worker id
--       5   capacity
--       6…  queues
--
-- Keys (table in parts/1_keys.lua)
--   worker:<worker>  HASH    dead       written anew, so that a queue it no longer serves goes
--   workers:<queue>  SET     dead       the worker is added
--   born             STRING  permanent  set once

local worker = key('worker', ARGV[4])
call('SET', key('born'), NOW, 'NX')
call('DEL', worker)
for i = 6, #ARGV do
  local workers = key('workers', ARGV[i])
  call('HSET', worker, ARGV[i], ARGV[5])
  call('SADD', workers, ARGV[4])
  call('PEXPIRE', workers, ms(DEAD))
end
call('PEXPIRE', worker, ms(DEAD))
