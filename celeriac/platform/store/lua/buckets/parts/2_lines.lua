-- What the decisions on token buckets share, part 2: the lines of those who wait.
--
-- Who is to wait has a ticket, and is promised its amount behind all lower tickets. A ticket is no more than its
-- number: its holder brings it along, and has its place by it however late it comes. What is promised here is only what
-- is kept back from higher tickets; it is void once nobody comes for it. A bucket that is full says so: what it has no
-- room for would have gone to the first in the line, and after a while of that nobody in it is waited for.

-- Tickets that share a sum, so that what stands before one of thousands is known without looking at each.
local BLOCK = 64
-- A bucket that has been full for so long, and for as long as it takes to fill, keeps nothing back any more.
local PATIENCE = 5000000
-- What fractions of amounts are rounded by.
local NOTHING = 1e-6

local function change_sum(bucket, ticket, change)
  local block = text(math.floor(ticket / BLOCK))
  local sum = (tonumber(call('HGET', bucket.sums, block)) or 0) + change
  if sum > NOTHING then call('HSET', bucket.sums, block, text(sum)) else call('HDEL', bucket.sums, block) end
end

local function read(member)
  local ticket, amount = member:match('^(%S+) (%S+)$')
  return tonumber(ticket), tonumber(amount)
end

-- Promise an amount to a ticket that is promised nothing.
local function promise(bucket, ticket, amount)
  if amount <= NOTHING then return end
  if not bucket.has_line then call('DEL', bucket.sums) end  -- of a line that was lost alone
  bucket.has_line = true
  call('ZADD', bucket.line, text(ticket), text(ticket) .. ' ' .. text(amount))
  change_sum(bucket, ticket, amount)
end

-- Take back what a ticket was promised, if it still is.
local function withdraw(bucket, ticket)
  if not bucket.has_line then return end
  local member = call('ZRANGEBYSCORE', bucket.line, text(ticket), text(ticket))[1]
  if not member then return end
  local _, amount = read(member)
  call('ZREM', bucket.line, member)
  change_sum(bucket, ticket, -amount)
end

-- What is promised to those before a ticket.
local function promised_before(bucket, ticket)
  if not bucket.has_line then return 0 end
  local block, promised = math.floor(ticket / BLOCK), 0
  local sums = call('HGETALL', bucket.sums)
  for i = 1, #sums, 2 do
    if tonumber(sums[i]) < block then promised = promised + tonumber(sums[i + 1]) end
  end
  for _, member in ipairs(call('ZRANGEBYSCORE', bucket.line, text(block * BLOCK), '(' .. text(ticket))) do
    local _, amount = read(member)
    promised = promised + amount
  end
  return promised
end

-- Make promises of that worth void, the oldest first.
local function void(bucket, worth)
  while worth > NOTHING do
    local first = call('ZRANGE', bucket.line, 0, 0)[1]
    if not first then return end
    local ticket, amount = read(first)
    withdraw(bucket, ticket)
    promise(bucket, ticket, amount - worth)
    worth = worth - amount
  end
end

-- The bucket of that number of so many, with its line; what was promised and ran over since is void.
local function lined(i, many)
  local bucket = refilled(i)
  bucket.line, bucket.sums = KEYS[i + 1 + many], KEYS[i + 1 + 2 * many]
  bucket.has_line = call('EXISTS', bucket.line) == 1
  local room = math.max(0, bucket.burst - bucket.before)
  if bucket.earned < room then
    bucket.full = 0
    return bucket
  end
  if bucket.full == 0 then bucket.full = bucket.at + room / bucket.rate * 1000000 end
  if not bucket.has_line then return bucket end
  if NOW - bucket.full >= math.max(PATIENCE, bucket.burst / bucket.rate * 1000000) then
    call('DEL', bucket.line, bucket.sums)
    bucket.has_line = false
  else
    void(bucket, bucket.earned - room)
  end
  return bucket
end

-- Write a bucket and its line, where somebody in it was told to wait so long.
local function keep_lined(bucket, wait)
  local lives_ms = bucket.has_line and call('PTTL', bucket.line) or -2
  if lives_ms > -2 then
    local patience = math.max(PATIENCE, bucket.burst / bucket.rate * 1000000)
    lives_ms = math.min(LONGEST_MS, math.max(lives_ms, math.ceil((wait + patience) / 1000)))
    for _, key in ipairs({bucket.line, bucket.sums}) do call('PEXPIRE', key, string.format('%d', lives_ms)) end
  end
  if bucket.tokens < bucket.burst then bucket.full = 0 end
  keep(bucket, lives_ms, 'full', text(bucket.full), 'next', text(bucket.next))
end
