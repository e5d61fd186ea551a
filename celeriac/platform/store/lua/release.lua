-- Free the slots of exactly one link.
--
-- ARGV  4  run id
--       5  fence of the link
--
-- Keys (table in parts/1_keys.lua)
--   slot:<run>:<fence>       STRING  1.5 dead  deleted
--   slots:<tenant>           ZSET    1.5 dead  the slot leaves it
--   taken:<queue>            ZSET    1.5 dead  the slot leaves it
--   held:<tenant>:<pool>     ZSET    …         the slot leaves it
--   tenant:<tenant>          HASH    one day   read, and written: queues whose ring the tenant joins again
--   sleepers, waiters, blocked, lanes          read and written: the first lane that waits for a pool joins again
--   ring, left, turn, later  …       …         written by that
--   run:<run>, lane, waiting …       …         the run is forgotten, unless it is of a newer fence

local run_id, fence = ARGV[4], tonumber(ARGV[5])
forget(run_id, fence)
free(slot_name(run_id, fence))
