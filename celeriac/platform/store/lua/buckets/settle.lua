-- Take more than was taken, or give back where an amount is negative, whatever the buckets hold.
--
-- Keys (table in parts/1_buckets.lua): bucket, line and sums are written.
-- Returns  nothing.

local many = (#KEYS - 1) / 3
for i = 1, many do
  local bucket = lined(i, many)
  bucket.tokens = math.min(bucket.burst, bucket.tokens - bucket.amount)
  if bucket.tokens == bucket.burst and bucket.full == 0 then bucket.full = NOW end
  keep_lined(bucket, 0)
end
