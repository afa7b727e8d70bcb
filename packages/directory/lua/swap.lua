-- KEYS: a hash. ARGV: field, the text it is to have still ('' for none), the new text. Answers whether it was written.
local current = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if current ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
