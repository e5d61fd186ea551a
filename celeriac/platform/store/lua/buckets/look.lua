-- Say what buckets hold, as text; of none it only notes that buckets are asked for from now on.
--
-- Keys (table in parts/1_buckets.lua): only born is written.

local left = {}
for i = 1, #KEYS - 1 do left[i] = text(refilled(i).tokens) end
return left
