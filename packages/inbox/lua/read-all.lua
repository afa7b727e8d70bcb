-- ARGV: options. Answers the ids read by this call; when nothing is unread, those of the last one, whose caller may not have heard of them.
local user, options = userAt(1), optionsAt(1)
local head = headOf(user, options)
local last = redis.call('HGET', user.head, 'allRead')
local wanted = head.unread > 0 and '0' or last
local ids = {}
if not wanted then return ids end
local items = redis.call('HGETALL', user.items)
for i = 1, #items, 2 do
  local delivered, read, seen, archived, sealed = string.match(items[i + 1], '^(%d+),(%d+),(%d+),(%d+)|(.*)$')
  if read == wanted then
    ids[#ids + 1] = items[i]
    if read == '0' then
      redis.call('HSET', user.items, items[i], delivered .. ',' .. options.now .. ',' .. seen .. ',' .. archived .. '|' .. sealed)
    end
  end
end
if head.unread == 0 then return ids end
head.unread = 0
redis.call('HSET', user.head, 'allRead', options.now)
record(user, options, head, 'allRead', tostring(options.now), '', '')
return ids
