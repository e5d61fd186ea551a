-- Note the newest limits, pools and paces, and let go what may go by them.
--
-- ARGV  4…  JSON of runs that carry them; the runs need not be queued
--
-- Keys (table in parts/1_keys.lua)
--   tenant:<tenant>                 HASH    one day  limits are written
--   numbers:<tenant>:<thing>        HASH    …        written
--   lanes, ring, left, turn, later                   a tenant that waits as a whole joins where its limits changed
--   sleepers, waiters, blocked                       a lane that waits for a thing joins where its number changed
--   run:<run>, lane:…, waiting      …       …        a run moves to another lane where its pools or pace are others

-- Put a run that waits into the lane that it belongs to now; it keeps its age.
local function move(run, text)
  local known = call('GET', key('run', run.run_id))
  if not known then return end
  known = cjson.decode(known)
  if known.fence ~= run.fence or lane_of(known) == lane_of(run) then return end
  local rank = call('ZSCORE', lane_key(known), run.run_id)
  if not rank then return end
  withdraw(known)
  put_at(tonumber(rank), run, text)
end

for i = 4, #ARGV do
  local run = cjson.decode(ARGV[i])
  learn(run)
  move(run, ARGV[i])
end
