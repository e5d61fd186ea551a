-- Confirm that runs have begun and not ended, so that each holds its pools that are for the run.
--
-- ARGV  4…  for each run: run id, fence, tenant, queue, JSON of its pools or empty
--
-- Keys (table in parts/1_keys.lua)
--   held:<tenant>:<pool>  ZSET    one day  the run's expiry starts again
--   hold:<run>            STRING  one day  read for what it holds already, also where that is declared no more; written
--   holders               ZSET    one day  the run was confirmed now

for i = 4, #ARGV, 5 do
  local run_id, tenant = ARGV[i], ARGV[i + 2]
  local hold = call('GET', key('hold', run_id))
  if hold then confirm(run_id, unpack(cjson.decode(hold))) end
  if ARGV[i + 4] ~= '' then hold_run(run_id, tenant, cjson.decode(ARGV[i + 4])) end
end
