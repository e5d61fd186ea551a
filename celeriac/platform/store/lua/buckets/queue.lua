-- Take from buckets, all or none, in the order of the tickets; or line up.
--
-- ARGV  the last  the ticket of who has waited already, or empty: who is new gets one behind all others
-- Keys (table in parts/1_buckets.lua): bucket, line and sums are written.
-- Returns  1 or 0 (taken or not), microseconds to wait, the number of the bucket that takes the longest, the ticket,
-- and what each holds after it as text.

-- In microseconds: who comes at the time that it was told is not sent away because a fraction was rounded.
local ROUNDED = 0.001

local many = (#KEYS - 1) / 3
local ticket = tonumber(ARGV[3 * many + 2])
local buckets, newest = {}, 0
for i = 1, many do
  local bucket = lined(i, many)
  if ticket then withdraw(bucket, ticket) end
  newest = math.max(newest, bucket.next)
  buckets[i] = bucket
end
-- A line that was lost begins with the time, so that its tickets are above those of before.
if not ticket then ticket = newest > 0 and newest or NOW end

local wait, slowest = 0, 1
for i, bucket in ipairs(buckets) do
  local needed = math.min(bucket.amount, bucket.burst) + promised_before(bucket, ticket)
  local micros = math.ceil((needed - bucket.tokens) / bucket.rate * 1000000 - ROUNDED)
  if micros > wait then wait, slowest = micros, i end
end

local left = {}
for i, bucket in ipairs(buckets) do
  if wait == 0 then
    bucket.tokens = math.min(bucket.burst, bucket.tokens - bucket.amount)
  else
    promise(bucket, ticket, bucket.amount)
  end
  bucket.next = math.max(newest, ticket + 1)
  keep_lined(bucket, wait)
  left[i] = text(bucket.tokens)
end
return {wait == 0 and 1 or 0, wait, slowest, ticket, unpack(left)}
