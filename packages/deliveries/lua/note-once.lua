-- KEYS per item: record. ARGV: number; per item: a line. Notes it in a record that is there and does not say so yet.
local answers = {}
for i = 1, tonumber(ARGV[1]) do
  local record = redis.call('GET', KEYS[i])
  local line = '\n' .. ARGV[1 + i]
  answers[i] = 0
  if record and not string.find(record .. '\n', line .. '\n', 1, true) then
    redis.call('APPEND', KEYS[i], line)
    answers[i] = 1
  end
end
return answers
