-- KEYS: owner of a token. ARGV: user, generation. Whose the token was before is forgotten, if this registration still has it: nobody else holds the device.
local owner = redis.call('HMGET', KEYS[1], 'owner', 'generation')
if owner[1] ~= ARGV[1] or owner[2] ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], 'before')
