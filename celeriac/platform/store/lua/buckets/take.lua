-- Take from token buckets, all or none; line up behind others; settle; or look. One decision, as the last of them is
-- a take of nothing and settling is a take that never fails.
--
-- KEYS  1   born: STRING, permanent: when the buckets were first asked; one that is unknown was empty then
--       2…  the buckets: HASH, TTL until full (with what is promised, until that is over)
--             tokens   what it held at `at`; below zero is a debt
--             at       microseconds
--             promised what those were promised who line up, and `until` when the last of them is due
-- ARGV  1   take | queue | back | settle | look   (back: a queue by somebody who was promised)
--       2…  of each bucket: amount, rate (tokens a second), burst
-- Returns  1 or 0 (taken or not), microseconds to wait, the number of the bucket that takes the longest, and what each
-- holds after it as text.
--
-- Times are the server's. An amount above the burst needs a full bucket and leaves a debt.

local call = redis.call
local clock = call('TIME')
local NOW = clock[1] * 1000000 + clock[2]
local mode = ARGV[1]
-- A promise that nobody came for is void after this time.
local GRACE = 5000000
-- Refilling at a tiny rate may take for ever; a key lives for a month at most, and is empty then at worst.
local LONGEST_MS = 2678400000

call('SET', KEYS[1], string.format('%d', NOW), 'NX')
local born = tonumber(call('GET', KEYS[1]))

local buckets, wait, slowest = {}, 0, 1
for i = 2, #KEYS do
  local known = call('HMGET', KEYS[i], 'tokens', 'at', 'promised', 'until')
  local amount, rate, burst = tonumber(ARGV[3 * i - 4]), tonumber(ARGV[3 * i - 3]), tonumber(ARGV[3 * i - 2])
  local bucket = {amount = amount, rate = rate, burst = burst}
  bucket.at = tonumber(known[2] or born)
  local earned = math.max(0, NOW - bucket.at) * rate / 1000000
  bucket.tokens = math.min(burst, (tonumber(known[1]) or 0) + earned)
  bucket.promised, bucket.due = tonumber(known[3]) or 0, tonumber(known[4]) or 0
  if bucket.due + GRACE < NOW then bucket.promised = 0 end
  local free = bucket.tokens
  if mode == 'take' or mode == 'queue' then free = free - bucket.promised end
  local missing = math.min(amount, burst) - free
  if missing > 0 and math.ceil(missing / rate * 1000000) > wait then
    wait, slowest = math.ceil(missing / rate * 1000000), i - 1
  end
  buckets[i] = bucket
end

local is_taken = mode == 'settle' or (mode ~= 'look' and wait == 0)
local left = {}
for i = 2, #KEYS do
  local bucket = buckets[i]
  if is_taken then
    bucket.tokens = math.min(bucket.burst, bucket.tokens - bucket.amount)
    if mode == 'back' then bucket.promised = math.max(0, bucket.promised - bucket.amount) end
  elseif mode == 'queue' then
    bucket.promised = bucket.promised + bucket.amount
  end
  if not is_taken and (mode == 'queue' or mode == 'back') then bucket.due = math.max(bucket.due, NOW + wait) end
  if is_taken or mode == 'queue' or mode == 'back' then
    call('HSET', KEYS[i], 'tokens', bucket.tokens, 'at', math.max(NOW, bucket.at),
      'promised', bucket.promised, 'until', bucket.due)
    local full_in = math.max(0, (bucket.burst - bucket.tokens) / bucket.rate * 1000)
    local over_in = (bucket.due + GRACE - NOW) / 1000
    -- Not before one that is unknown would be full as well.
    local known_in = bucket.burst / bucket.rate * 1000 - (NOW - born) / 1000
    local ttl = math.ceil(math.max(full_in, over_in, known_in, 1))
    call('PEXPIRE', KEYS[i], string.format('%d', math.min(LONGEST_MS, ttl)))
  end
  left[i - 1] = string.format('%.17g', bucket.tokens)
end
return {is_taken and 1 or 0, wait, slowest, unpack(left)}
