-- Put off the expiry of the slots of links that execute, and take anew those that are gone.
--
-- ARGV  4…  for each link: run id, fence, tenant, queue, JSON of its pools or empty
--
-- Keys (table in parts/1_keys.lua)
--   slot:<run>:<fence>    STRING  1.5 dead  read for what the link holds, written; TTL starts again
--   slots:<tenant>        ZSET    1.5 dead  expiry of the slot and TTL start again
--   taken:<queue>         ZSET    1.5 dead  expiry of the slot and TTL start again
--   held:<tenant>:<pool>  ZSET    …         expiry of the slot and TTL start again
--   hold:<run>, holders   …       one day   written for pools that are held for the run

for i = 4, #ARGV, 5 do
  local pools = ARGV[i + 4] ~= '' and cjson.decode(ARGV[i + 4]) or nil
  take_anew(ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3], pools)
end
