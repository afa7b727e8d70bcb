-- ARGV: options, limit, offset, then createdAt and id of the item before the page (or empty). Newest first, by createdAt, then id.
-- Answers epoch, offset, unread count, whether there is more (1 or 0), then id, createdAt and value of each.
local user, options = userAt(1), optionsAt(1)
local limit, skip = tonumber(ARGV[1 + OPTIONS]), tonumber(ARGV[2 + OPTIONS])
local afterScore, afterId = ARGV[3 + OPTIONS], ARGV[4 + OPTIONS]
local head = headOf(user, options)
upkeep(user, options, head)

local found
if afterId == '' then
  found = redis.call('ZREVRANGE', user.index, skip, skip + limit, 'WITHSCORES')
else
  found = {}
  local start, step = 0, limit + 1
  while #found < 2 * (limit + 1) do
    local chunk = redis.call('ZREVRANGEBYSCORE', user.index, afterScore, '-inf', 'WITHSCORES', 'LIMIT', start, step)
    for i = 1, #chunk, 2 do
      if (chunk[i + 1] ~= afterScore or chunk[i] < afterId) and #found < 2 * (limit + 1) then
        found[#found + 1] = chunk[i]
        found[#found + 1] = chunk[i + 1]
      end
    end
    if #chunk < 2 * step then break end
    start = start + step
  end
end

local more = #found > 2 * limit and 1 or 0
local answer = { head.epoch, head.offset, head.unread, more }
for i = 1, math.min(#found, 2 * limit), 2 do
  answer[#answer + 1] = found[i]
  answer[#answer + 1] = found[i + 1]
  answer[#answer + 1] = redis.call('HGET', user.items, found[i]) or ''
end
return answer
