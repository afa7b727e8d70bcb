-- KEYS: owner of a token. ARGV: user, generation. Nobody owns the token any more, if it was this user's, in no later generation.
local owner = redis.call('HMGET', KEYS[1], 'owner', 'generation')
if owner[1] ~= ARGV[1] or tonumber(owner[2]) > tonumber(ARGV[2]) then return 0 end
return redis.call('DEL', KEYS[1])
