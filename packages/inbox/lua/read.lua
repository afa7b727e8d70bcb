-- ARGV: options, id. Answers -1 unknown, 0 was read before, 1 read now.
local user, options = userAt(1), optionsAt(1)
local id = ARGV[1 + OPTIONS]
local value = redis.call('HGET', user.items, id)
if not value then return -1 end
local delivered, read, seen, archived, sealed = string.match(value, '^(%d+),(%d+),(%d+),(%d+)|(.*)$')
if read ~= '0' then return 0 end
local state = delivered .. ',' .. options.now .. ',' .. seen .. ',' .. archived
redis.call('HSET', user.items, id, state .. '|' .. sealed)
local head = headOf(user, options)
head.unread = head.unread - 1
record(user, options, head, 'read', id, state, sealed)
return 1
