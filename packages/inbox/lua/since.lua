-- ARGV: options, epoch, offset, most bytes to answer. Answers whether all can be had (1 or 0), epoch, head offset, unread count,
-- then for each change its `event|id|unread count|state` and its sealed body.
local user, options = userAt(1), optionsAt(1)
local head = headOf(user, options)
local from = tonumber(ARGV[2 + OPTIONS])
local nothing = { 0, head.epoch, head.offset, head.unread }
if ARGV[1 + OPTIONS] ~= head.epoch or from > head.offset then return nothing end

local entries = redis.call('XRANGE', user.log, (from + 1) .. '-0', '+')
if #entries ~= head.offset - from then return nothing end

-- Field values by position: c, then v of a deletion.
local deleted = {}
for _, entry in ipairs(entries) do
  if entry[2][4] then deleted[string.match(entry[2][2], '^deleted|([^|]*)|')] = entry[2][4] end
end
local answer = { 1, head.epoch, head.offset, head.unread }
local bytes, most = 0, tonumber(ARGV[3 + OPTIONS])
for _, entry in ipairs(entries) do
  local event, id = string.match(entry[2][2], '^(%a+)|([^|]*)|')
  local value = ''
  if event ~= 'deleted' and event ~= 'allRead' then
    value = redis.call('HGET', user.items, id) or deleted[id] or ''
    value = string.sub(value, (string.find(value, '|', 1, true) or 0) + 1)
  end
  bytes = bytes + #value
  if bytes > most then return nothing end
  answer[#answer + 1] = entry[2][2]
  answer[#answer + 1] = value
end
return answer
