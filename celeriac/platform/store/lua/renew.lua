-- Put off the expiry of slots; one that was given back or has expired stays gone.
--
-- ARGV  3…  run:fence of each slot
--
-- Keys (table in shared.lua)
--   slot:<run>:<fence>  STRING  1.5 dead  read; TTL starts again
--   slots:<tenant>      ZSET    1.5 dead  expiry of the slot and TTL start again
--   taken:<queue>       ZSET    1.5 dead  expiry of the slot and TTL start again

for i = 3, #ARGV do
  local held = call('GET', key('slot', ARGV[i]))
  if held then hold(ARGV[i], unpack(cjson.decode(held))) end
end
