-- Put off the expiry of the slots of links that execute, and take anew those that are gone.
--
-- ARGV  3…  for each link: run id, fence, tenant, queue
--
-- Keys (table in shared.lua)
--   slot:<run>:<fence>  STRING  1.5 dead  written; TTL starts again
--   slots:<tenant>      ZSET    1.5 dead  expiry of the slot and TTL start again
--   taken:<queue>       ZSET    1.5 dead  expiry of the slot and TTL start again

for i = 3, #ARGV, 4 do
  hold(slot_name(ARGV[i], tonumber(ARGV[i + 1])), ARGV[i + 2], ARGV[i + 3])
end
