-- ARGV: options; rows wanted, rows to skip, items to look at, at most; createdAt and id of the item to go on behind (or empty);
-- what rows are narrowed to, each empty if it is not: unread (1 or 0), archived (1 or 0), oldest createdAt.
-- Newest first, by createdAt, then id. Answers epoch, offset, unread count, rows still to skip, whether it came to the end (1 or 0),
-- createdAt and id of the item looked at last, then id, createdAt and value of each row.
local user, options = userAt(1), optionsAt(1)
local at = 1 + OPTIONS
local want, skip, look = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
local afterCreatedAt, afterId = ARGV[at + 3], ARGV[at + 4]
local unread, archived, oldest = ARGV[at + 5], ARGV[at + 6], tonumber(ARGV[at + 7])
local head = headOf(user, options)
upkeep(user, options, head)

local function isWanted(value)
  local read, put = string.match(value, '^%d+,(%d+),%d+,(%d+)|')
  return (unread == '' or (unread == '1') == (read == '0')) and (archived == '' or (archived == '1') == (put ~= '0'))
end

local function rankBehind(createdAt, id)
  if id == '' then return 0 end
  if redis.call('ZSCORE', user.index, id) == createdAt then return redis.call('ZREVRANK', user.index, id) + 1 end
  -- It is gone since: behind those of its time with a greater id.
  local rank = redis.call('ZCOUNT', user.index, '(' .. createdAt, '+inf')
  for _, other in ipairs(redis.call('ZREVRANGEBYSCORE', user.index, createdAt, createdAt)) do
    if other < id then break end
    rank = rank + 1
  end
  return rank
end

local rank = rankBehind(afterCreatedAt, afterId)
-- No item has to be looked at to be skipped.
if unread == '' and archived == '' then rank, skip = rank + skip, 0 end
local rows, looked, isEnd = {}, 0, false
while not isEnd and looked < look and #rows < 3 * want do
  local step = math.min(look - looked, math.max(want, 32))
  local chunk = redis.call('ZREVRANGE', user.index, rank + looked, rank + looked + step - 1, 'WITHSCORES')
  isEnd = #chunk < 2 * step
  for i = 1, #chunk, 2 do
    local id, createdAt = chunk[i], chunk[i + 1]
    if oldest and tonumber(createdAt) < oldest then
      isEnd = true
      break
    end
    if #rows == 3 * want then
      isEnd = false
      break
    end
    looked, afterCreatedAt, afterId = looked + 1, createdAt, id
    local value = redis.call('HGET', user.items, id)
    if value and isWanted(value) then
      if skip > 0 then
        skip = skip - 1
      else
        rows[#rows + 1] = id
        rows[#rows + 1] = createdAt
        rows[#rows + 1] = value
      end
    end
  end
end

local answer = { head.epoch, head.offset, head.unread, skip, isEnd and 1 or 0, afterCreatedAt, afterId }
for _, part in ipairs(rows) do answer[#answer + 1] = part end
return answer
