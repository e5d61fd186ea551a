-- Free the slot of exactly one link.
--
-- ARGV  3  run id
--       4  fence of the link
--
-- Keys (table in shared.lua)
--   slot:<run>:<fence>       STRING  1.5 dead  deleted
--   slots:<tenant>           ZSET    1.5 dead  the slot leaves it
--   taken:<queue>            ZSET    1.5 dead  the slot leaves it
--   full:<tenant>            SET     3 dead    read and deleted: queues whose ring the tenant joins again
--   ring, left, turn, later  …       …         written by that
--   run:<run>, lane, waiting …       …         the run is forgotten, unless it is of a newer fence

local run_id, fence = ARGV[3], tonumber(ARGV[4])
forget(run_id, fence)
free(slot_name(run_id, fence))
