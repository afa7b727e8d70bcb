-- KEYS per name: its shelf. ARGV: number; per name: itself. Answers the values, false where there is none.
local answers = {}
for i = 1, tonumber(ARGV[1]) do answers[i] = redis.call('HGET', KEYS[i], ARGV[1 + i]) end
return answers
