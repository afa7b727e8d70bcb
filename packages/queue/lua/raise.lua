-- KEYS[1] number. ARGV[1] at least this. Answers the number, raised if it was lower.
local recorded = tonumber(redis.call('GET', KEYS[1]) or '0')
if recorded >= tonumber(ARGV[1]) then return recorded end
redis.call('SET', KEYS[1], ARGV[1])
return tonumber(ARGV[1])
