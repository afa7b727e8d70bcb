-- KEYS: a person. ARGV: field of a device, generation. Takes the device away, unless it is there in a later generation. Answers whether.
local held = redis.call('HGET', KEYS[1], ARGV[1])
if not held or tonumber(string.match(held, '^%d+')) > tonumber(ARGV[2]) then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
