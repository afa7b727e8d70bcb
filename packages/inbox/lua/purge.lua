-- ARGV: options, then ids. Removes these items, each by a logged deletion. Answers how many were there.
local user, options = userAt(1), optionsAt(1)
local head = headOf(user, options)
local before = redis.call('HLEN', user.items)
for i = 1 + OPTIONS, #ARGV do remove(user, options, head, ARGV[i]) end
return before - redis.call('HLEN', user.items)
