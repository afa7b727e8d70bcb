-- KEYS per item: record hash. ARGV: number; per item: field, value. Writes to records that exist, answers 1 or 0 for each.
local answers = {}
for i = 1, tonumber(ARGV[1]) do
  if redis.call('HEXISTS', KEYS[i], 'userId') == 1 then
    redis.call('HSET', KEYS[i], ARGV[2 * i], ARGV[2 * i + 1])
    answers[i] = 1
  else
    answers[i] = 0
  end
end
return answers
