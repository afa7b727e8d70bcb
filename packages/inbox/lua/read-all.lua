-- ARGV: options. Answers when all was read, then the ids this call read; when nothing is unread, those of the last one, unless whoever waits for
-- them has been told (`all-told.lua`).
local user, options = userAt(1), optionsAt(1)
local head = headOf(user, options)
local last = redis.call('HGET', user.head, 'allRead')
local wanted = head.unread > 0 and '0' or last
if not wanted then return {} end
local ids = { head.unread > 0 and tostring(options.now) or last }
local items = redis.call('HGETALL', user.items)
for i = 1, #items, 2 do
  -- The body is not taken out before it is needed: there may be much of it.
  local delivered, read, seen, archived, bar = string.match(items[i + 1], '^(%d+),(%d+),(%d+),(%d+)()|')
  if read == wanted then
    ids[#ids + 1] = items[i]
    if read == '0' then
      redis.call('HSET', user.items, items[i], delivered .. ',' .. options.now .. ',' .. seen .. ',' .. archived .. string.sub(items[i + 1], bar))
    end
  end
end
if head.unread == 0 then return ids end
head.unread = 0
redis.call('HSET', user.head, 'allRead', options.now)
record(user, options, head, 'allRead', tostring(options.now), '', '')
return ids
