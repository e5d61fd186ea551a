-- What the gate's decisions share, part 1: the time, the names of the keys, and the words for order.
--
-- redis_scripts.py puts the parts of this folder before each decision, in order, so that one decision is one atomic
-- script. Key names are made here from tenants and queues found on the way: the gate needs one Redis (6.2 or newer),
-- not a cluster. A `thing` is what a lane may wait for: `pool:<name>` or `pace:<name>`.
--
-- ARGV of every decision (no KEYS)
--   1  the time (common/clock.lua)
--   2  prefix of all keys
--   3  dead time in microseconds
--   4… the decision's own
--
-- Keys, each behind `<prefix>:gate:`
--   name                                        type    TTL               meaning
--   run:<run>                                   STRING  none | half dead  JSON of a run that waits (none) or is picked
--   lane:<queue>:<tenant>:<lane>                ZSET    emptied           run -> rank: its band and its age
--   waiting:<queue>                             STRING  emptied           how many runs stand in the lanes
--   ring:<queue>                                ZSET    emptied           tenant that may be picked -> its next turn
--   lanes:<queue>:<tenant>                      ZSET    emptied           lane that may be picked -> band and last turn
--   left:<queue>                                ZSET    one hour          tenant outside the ring -> its next turn
--   turn:<queue>                                STRING  one hour          the turn of the last pick
--   later:<queue>                               ZSET    emptied           what is to be looked at -> when: a tenant, or
--                                                                         JSON [tenant, function, thing]
--   blocked:<queue>:<tenant>                    HASH    emptied           lane -> JSON [function, thing it waits for]
--   waiters:<queue>:<tenant>:<function>:<thing> ZSET    emptied           blocked lane -> band and last turn
--   sleepers:<tenant>:<thing>                   SET     emptied           JSON [queue, function] that have waiters
--   active:<queue>                              HASH    one minute        the last quiet tenant of whom a run was picked,
--                                                                         and the last before that is another
--   slots:<tenant>                              ZSET    1.5 dead          run:fence -> expiry of its running links
--   taken:<queue>                               ZSET    1.5 dead          run:fence -> expiry of the links in flight
--   slot:<run>:<fence>                          STRING  1.5 dead          JSON [tenant, queue, things] of one link
--   held:<tenant>:<pool>                        ZSET    1.5 dead | a day  run:fence or run -> expiry of a pool's slots
--   hold:<run>                                  STRING  one day           JSON [tenant, pools] held for the whole run
--   holders                                     ZSET    one day           run that holds so -> when it was confirmed
--   tat:<tenant>:<pace>                         STRING  then + a minute   when the pace is as good as unused
--   tenant:<tenant>                             HASH    one day, or more  limits: the newest running, rate, burst, weight;
--                                                                         bucket: tokens of run starts, when they were
--                                                                         counted, kept until it is full; stalled: JSON
--                                                                         of the queues where it waits as a whole
--   numbers:<tenant>:<thing>                    HASH    10 min | one day  newest by function: slots, or emission, burst;
--                                                                         for a day where a lane waits for the thing
--   worker:<worker>                             HASH    dead              queue -> capacity of a live worker
--   workers:<queue>                             SET     dead              workers that attended the queue
--   born                                        STRING  permanent         unknown buckets were empty at this time
--   lost                                        STRING  8 days            unknown paces were used up at this time
--   settling                                    STRING  0.3 dead          nothing is picked: what executes since before
--                                                                         Redis was emptied is being told again
-- Times are in microseconds; `emptied` keys vanish with their last member.

-- What is asked of a tenant at each pick stands in one key: with 10,000 tenants each of their keys is far away in memory,
-- and looking one up costs more than all the rest of a command.

local DEAD = tonumber(ARGV[3])
-- Long enough for a worker that was taken for dead to have cancelled its own links (10 s dead: 15 s).
local SLOT_LIFE = DEAD * 1.5
-- How long a picked run may be on its way before reconcile asks for it again.
local PICK_LIFE = DEAD * 0.5
-- How long nothing is picked after a loss: all workers have renewed their slots by then.
local SETTLING = DEAD * 0.3
-- How long what is held for a run lasts when reconcile says nothing of it.
local RUN_LIFE = 86400000000
-- How much later than its turn in a pace a start may be picked and still have it of that time: a tick.
local LATE = 100000
local MINUTE_MS = 60000
local TURN_MS = 3600000
local LIMITS_LIFE = 86400000000
local LOST_MS = 8 * 86400000
-- Keys may be many, so the numbers of a thing that nobody waits for are soon forgotten.
local NUMBERS_LIFE, NUMBERS_OF_BLOCKED = 600000000, 86400000000
-- How long what is held for a run may go without being confirmed before reconcile looks it up.
local CONFIRMED = 60000000
-- How long headroom is kept for quiet tenants after the last of their runs was picked.
local ACTIVE = 5000000

-- A rank is a band plus a time; the sums are exact in a double. Resumes are before starts that need no token, and
-- those before starts. Lanes stand in the band of their head.
local RESUME, INTERNAL, START = -2 ^ 53, 0, 2 ^ 52

local function band_of(rank)
  rank = tonumber(rank)
  return rank < 0 and RESUME or rank < START and INTERNAL or START
end

-- The name of a key of up to five words; written out, because it is asked for two dozen times a pick.
local PREFIX = ARGV[2] .. ':gate:'
local function key(a, b, c, d, e)
  if not b then return PREFIX .. a end
  if not c then return PREFIX .. a .. ':' .. b end
  if not d then return PREFIX .. a .. ':' .. b .. ':' .. c end
  if not e then return PREFIX .. a .. ':' .. b .. ':' .. c .. ':' .. d end
  return PREFIX .. a .. ':' .. b .. ':' .. c .. ':' .. d .. ':' .. e
end

local function ms(micros)
  return math.ceil(micros / 1000)
end

-- Remove what has expired; once a script is enough, for its time stands still.
local purged = {}
local function purge(zset)
  if purged[zset] then return end
  purged[zset] = true
  call('ZREMRANGEBYSCORE', zset, '-inf', NOW)
end

-- Let a key live at least so long from now.
local function keep(name, micros)
  if call('PTTL', name) < ms(micros) then call('PEXPIRE', name, ms(micros)) end
end

-- How many members stand in it that have not expired; it is only looked at closely where that may matter.
local function count(zset, enough)
  local many = call('ZCARD', zset)
  if many < enough then return many end
  purge(zset)
  return call('ZCARD', zset)
end

local function slot_name(run_id, fence)
  return run_id .. ':' .. fence
end

-- A time for an order: later than all that this script gave before.
local stamps = 0
local function stamp()
  stamps = stamps + 1
  return NOW + stamps - 1
end
