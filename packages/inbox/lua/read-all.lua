-- ARGV: options. Answers the ids that were unread.
local user, options = userAt(1), optionsAt(1)
local head = headOf(user, options)
local ids = {}
if head.unread == 0 then return ids end
local items = redis.call('HGETALL', user.items)
for i = 1, #items, 2 do
  local delivered, seen, archived, sealed = string.match(items[i + 1], '^(%d+),0,(%d+),(%d+)|(.*)$')
  if delivered then
    redis.call('HSET', user.items, items[i], delivered .. ',' .. options.now .. ',' .. seen .. ',' .. archived .. '|' .. sealed)
    ids[#ids + 1] = items[i]
  end
end
head.unread = 0
record(user, options, head, 'allRead', tostring(options.now), '', '')
return ids
