-- KEYS per item: a hash. ARGV: number. Answers per item: all fields and values, one after the other.
local answers = {}
for i = 1, tonumber(ARGV[1]) do answers[i] = redis.call('HGETALL', KEYS[i]) end
return answers
