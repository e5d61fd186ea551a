-- Confirm that runs have begun and not ended, so that each holds its pools that are for the run.
--
-- ARGV  4…  for each run: run id, fence, tenant, queue, JSON of its pools or empty
--
-- Keys (table in parts/1_keys.lua)
--   held:<tenant>:<pool>  ZSET    one day  the run's expiry starts again
--   hold:<run>            STRING  one day  written
--   holders               ZSET    one day  the run was confirmed now

for i = 4, #ARGV, 5 do
  if ARGV[i + 4] ~= '' then hold_run(ARGV[i], ARGV[i + 2], cjson.decode(ARGV[i + 4])) end
end
