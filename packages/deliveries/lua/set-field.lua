-- KEYS per item: record hash. ARGV: number; per item: field, value. Writes to records that exist, answers 1 or 0 for each.
-- A value is stored as `<fields there were>|<value>`, which tells in what order the statuses of a delivery came.
local answers = {}
for i = 1, tonumber(ARGV[1]) do
  local fields = redis.call('HLEN', KEYS[i])
  if fields > 0 then
    redis.call('HSET', KEYS[i], ARGV[2 * i], fields .. '|' .. ARGV[2 * i + 1])
    answers[i] = 1
  else
    answers[i] = 0
  end
end
return answers
