-- Take from buckets that nobody lines up at, all or none.
--
-- Keys (table in parts/1_buckets.lua): bucket is written where all is taken.
-- Returns  1 or 0 (taken or not), microseconds to wait, the number of the bucket that takes the longest, and what each
-- holds after it as text.

local buckets, wait, slowest = {}, 0, 1
for i = 1, #KEYS - 1 do
  local bucket = refilled(i)
  local missing = math.min(bucket.amount, bucket.burst) - bucket.tokens
  if missing > 0 and math.ceil(missing / bucket.rate * 1000000) > wait then
    wait, slowest = math.ceil(missing / bucket.rate * 1000000), i
  end
  buckets[i] = bucket
end

local left = {}
for i, bucket in ipairs(buckets) do
  if wait == 0 then
    bucket.tokens = math.min(bucket.burst, bucket.tokens - bucket.amount)
    keep(bucket, 0)
  end
  left[i] = text(bucket.tokens)
end
return {wait == 0 and 1 or 0, wait, slowest, unpack(left)}
