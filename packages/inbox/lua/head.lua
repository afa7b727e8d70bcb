-- ARGV: options. Answers epoch, offset, unread count.
local user, options = userAt(1), optionsAt(1)
local epoch = epochOf(user, options)
return { epoch, tonumber(redis.call('HGET', user.head, 'offset') or '0'), redis.call('ZCARD', user.unread) }
