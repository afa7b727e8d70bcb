-- KEYS: owner of a token. ARGV: user, generation. Gives the token to the user, unless a later generation has it. Answers whether, and
-- whose it was before ('' for nobody's). That is told again when the user registers again, until it is settled: the first time may have broken off.
local known = redis.call('HMGET', KEYS[1], 'owner', 'generation', 'before')
if known[1] and tonumber(known[2]) >= tonumber(ARGV[2]) then return { 0, '' } end
local before = known[3] or ''
if known[1] and known[1] ~= ARGV[1] then before = known[1] end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'generation', ARGV[2])
if before ~= '' then redis.call('HSET', KEYS[1], 'before', before) end
redis.call('PERSIST', KEYS[1])
return { 1, before }
