-- What the decisions on token buckets share, part 1: the time, the names of the keys, and a bucket as it is now.
--
-- redis_buckets.py puts the parts of this folder before each decision, in order, so that one decision is one atomic
-- script. Those that know lines (queue, settle) are given three keys of each bucket, the others (take, look) one.
--
-- KEYS  1   born
--       2…  the buckets; behind them their lines, and behind those their sums, all in one order
-- ARGV  1   the time (common/clock.lua)
--       2…  of each bucket: amount, rate (tokens a second), burst
--       …   the decision's own
--
-- Keys, each behind `<prefix>:`
--   name                    type    TTL               meaning
--   buckets:born            STRING  permanent         when buckets were first asked; one that is unknown was empty then
--   bucket:<tenant>:<name>  HASH    until it is full  tokens: what it held at `at`, below zero a debt; at;
--                                   | as its line     full: since when it is full, or 0; next: ticket of its line
--   line:<tenant>:<name>    ZSET    the last one's    "<ticket> <amount>" -> ticket, of those who wait for what they
--                                   wait and a little were promised, in their order
--   sums:<tenant>:<name>    HASH    as its line       block of 64 tickets in a row -> what is promised to them
-- Times are in microseconds. An amount above the burst needs a full bucket and leaves a debt.

-- Refilling at a tiny rate may take for ever; a key lives for a month at most, and is empty then at worst.
local LONGEST_MS = 2678400000
-- Where the clock is moved, the server's time says nothing about when a bucket is full.
local LEAST_MS = ARGV[1] == '' and 1 or 600000

call('SET', KEYS[1], string.format('%d', NOW), 'NX')
local BORN = tonumber(call('GET', KEYS[1]))

-- The bucket of that number, with what has been refilled since it was last written.
local function refilled(i)
  local amount, rate, burst = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local known = call('HMGET', KEYS[i + 1], 'tokens', 'at', 'full', 'next')
  local bucket = {key = KEYS[i + 1], amount = amount, rate = rate, burst = burst}
  bucket.before, bucket.at = tonumber(known[1]) or 0, tonumber(known[2] or BORN)
  bucket.full, bucket.next = tonumber(known[3]) or 0, tonumber(known[4]) or 0
  bucket.earned = math.max(0, NOW - bucket.at) * rate / 1000000
  bucket.tokens = math.min(burst, bucket.before + bucket.earned)
  return bucket
end

-- Write what it holds, and more fields, for as long as it is not full, nor one that is unknown would be, and for that
-- long at least.
local function keep(bucket, lives_ms, ...)
  call('HSET', bucket.key, 'tokens', bucket.tokens, 'at', math.max(NOW, bucket.at), ...)
  local full_in = math.max(0, (bucket.burst - bucket.tokens) / bucket.rate * 1000)
  local known_in = bucket.burst / bucket.rate * 1000 - (NOW - BORN) / 1000
  local ttl = math.min(LONGEST_MS, math.ceil(math.max(full_in, known_in, lives_ms, LEAST_MS)))
  call('PEXPIRE', bucket.key, string.format('%d', ttl))
end

local function text(number)
  return string.format('%.17g', number)
end
