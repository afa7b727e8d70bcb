-- ARGV: number of items, options; per item: id, createdAt, sealed. Answers per item: 1 stored, 0 appended before.
local count = tonumber(ARGV[1])
local options = optionsAt(2)
local stateNow = ARGV[2] .. ',0,0,0'
local answers = {}

local function append(user, id, createdAt, sealed)
  redis.call('ZADD', user.index, createdAt, id)
  local head = headOf(user, options)
  local first = head.offset == 0 or head.unread == 0
  head.unread = head.unread + 1
  record(user, options, head, 'new', id, stateNow, sealed)
  -- Below this many changes ever, there cannot be too many items.
  if head.offset > options.max then
    local over = redis.call('ZCARD', user.index) - options.max
    if over > 0 then
      for _, oldest in ipairs(redis.call('ZRANGE', user.index, 0, over - 1)) do remove(user, options, head, oldest) end
    end
  end
  -- A key that was empty was gone, and its expiry with it.
  if first then expireAll(user, options) end
  upkeep(user, options, head)
end

for i = 0, count - 1 do
  local user = userAt(1 + i * 6)
  local at = 2 + OPTIONS + i * 3
  local id = ARGV[at]
  answers[i + 1] = 0
  if not redis.call('ZSCORE', user.gone, id) and redis.call('HSETNX', user.items, id, stateNow .. '|' .. ARGV[at + 2]) == 1 then
    local done, fault = pcall(append, user, id, ARGV[at + 1], ARGV[at + 2])
    if not done then
      -- A script that breaks is not undone: what is not there is appended when it is tried again.
      redis.call('HDEL', user.items, id)
      return redis.error_reply(type(fault) == 'table' and fault.err or fault)
    end
    answers[i + 1] = 1
  end
end
return answers
