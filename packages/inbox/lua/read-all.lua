-- ARGV: options. Answers the ids that were unread.
local user, options = userAt(1), optionsAt(1)
local ids = redis.call('ZRANGE', user.unread, 0, -1)
if #ids == 0 then return ids end
for _, id in ipairs(ids) do
  local value = redis.call('HGET', user.items, id)
  if value then
    local delivered, seen, archived, sealed = string.match(value, '^(%d+),%d+,(%d+),(%d+)|(.*)$')
    redis.call('HSET', user.items, id, delivered .. ',' .. options.now .. ',' .. seen .. ',' .. archived .. '|' .. sealed)
  end
end
redis.call('DEL', user.unread)
record(user, options, epochOf(user, options), 'allRead', tostring(options.now), 0, '', '')
return ids
