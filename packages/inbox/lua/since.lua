-- ARGV: options, epoch, offset, most bytes to answer. Answers whether all can be had (1 or 0), epoch, head offset, unread count,
-- then event, id, offset, unread count, state and sealed body of each change.
local user, options = userAt(1), optionsAt(1)
local epoch = epochOf(user, options)
local head = tonumber(redis.call('HGET', user.head, 'offset') or '0')
local from = tonumber(ARGV[2 + OPTIONS])
local answer = { 0, epoch, head, redis.call('ZCARD', user.unread) }
if ARGV[1 + OPTIONS] ~= epoch or from > head then return answer end

local entries = redis.call('XRANGE', user.log, (from + 1) .. '-0', '+')
if #entries ~= head - from then return answer end

local changes, deleted = {}, {}
for i, entry in ipairs(entries) do
  local change = { offset = head - #entries + i }
  for f = 1, #entry[2], 2 do change[entry[2][f]] = entry[2][f + 1] end
  if change.v then deleted[change.i] = change.v end
  changes[i] = change
end
local bytes = 0
for _, change in ipairs(changes) do
  local value = ''
  if change.e ~= 'deleted' and change.e ~= 'allRead' then
    value = redis.call('HGET', user.items, change.i) or deleted[change.i] or ''
    value = string.sub(value, (string.find(value, '|', 1, true) or 0) + 1)
  end
  bytes = bytes + #value
  for _, field in ipairs({ change.e, change.i, change.offset, change.u, change.s, value }) do answer[#answer + 1] = field end
end
if bytes > tonumber(ARGV[3 + OPTIONS]) then return { answer[1], answer[2], answer[3], answer[4] } end
answer[1] = 1
return answer
