-- ARGV: number of items, options, then how long ids are remembered (ms) ; per item: id, createdAt, sealed.
-- Answers per item: 1 stored, 0 appended before.
local count = tonumber(ARGV[1])
local options = optionsAt(2)
local rememberFor = tonumber(ARGV[2 + OPTIONS])
local answers = {}

local function append(user, id, createdAt, sealed)
  local epoch = epochOf(user, options)
  local state = options.now .. ',0,0,0'
  local value = state .. '|' .. sealed
  redis.call('HSET', user.items, id, value)
  redis.call('ZADD', user.index, createdAt, id)
  redis.call('ZADD', user.unread, createdAt, id)
  local unread = redis.call('ZCARD', user.unread)
  local offset = record(user, options, epoch, 'new', id, unread, state, sealed)
  -- Below this many changes ever, there cannot be too many items.
  if offset > options.max then
    local over = redis.call('ZCARD', user.index) - options.max
    if over > 0 then
      for _, oldest in ipairs(redis.call('ZRANGE', user.index, 0, over - 1)) do remove(user, options, epoch, oldest) end
    end
  end
  -- A key that was empty was gone, and its expiry with it.
  if unread == 1 then
    for _, key in ipairs({ user.items, user.index, user.unread, user.seen }) do expire(options, key) end
  end
  if offset % 16 == 1 then
    redis.call('ZREMRANGEBYSCORE', user.seen, '-inf', '(' .. (options.now - rememberFor))
    upkeep(user, options, epoch)
  end
end

for i = 0, count - 1 do
  local user = userAt(1 + i * 7)
  local at = 3 + OPTIONS + i * 3
  answers[i + 1] = redis.call('ZADD', user.seen, 'NX', options.now, ARGV[at])
  if answers[i + 1] == 1 then
    local done, fault = pcall(append, user, ARGV[at], ARGV[at + 1], ARGV[at + 2])
    if not done then
      -- A script that breaks is not undone: what is not marked as seen is appended when it is tried again.
      redis.call('ZREM', user.seen, ARGV[at])
      return redis.error_reply(type(fault) == 'table' and fault.err or fault)
    end
  end
end
return answers
