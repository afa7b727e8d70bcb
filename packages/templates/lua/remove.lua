-- KEYS[1] template hash. ARGV: now. Takes the current version out of use; it stays readable for jobs. Answers 1 if there was one.
local current = redis.call('HGET', KEYS[1], 'current')
if not current then return 0 end
redis.call('HSET', KEYS[1], 'superseded:' .. current, ARGV[1])
redis.call('HDEL', KEYS[1], 'current')
return 1
