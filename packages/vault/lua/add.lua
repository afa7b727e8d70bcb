-- KEYS per name: its shelf. ARGV: number; per name: itself, its value. Answers what is there afterwards: the first to add wins.
local answers = {}
for i = 1, tonumber(ARGV[1]) do
  redis.call('HSETNX', KEYS[i], ARGV[2 * i], ARGV[2 * i + 1])
  answers[i] = redis.call('HGET', KEYS[i], ARGV[2 * i])
end
return answers
