-- ARGV: options, time of a reading of all. Whoever waits for what it read has been told: nobody is to be told again.
local user = userAt(1)
if redis.call('HGET', user.head, 'allRead') == ARGV[1 + OPTIONS] then redis.call('HDEL', user.head, 'allRead') end
