-- KEYS per item: a key. ARGV: number; per item: a field of the hash, or '' for a string. Answers per item: the value, or nothing.
local answers = {}
for i = 1, tonumber(ARGV[1]) do
  local field = ARGV[1 + i]
  if field == '' then answers[i] = redis.call('GET', KEYS[i])
  else answers[i] = redis.call('HGET', KEYS[i], field) end
end
return answers
