-- KEYS per item: record. ARGV: number; per item: a line. A record that is not there yet may be on its way (its job was faster): what is
-- noted of it waits an hour.
local answers = {}
for i = 1, tonumber(ARGV[1]) do
  local line = '\n' .. ARGV[1 + i]
  answers[i] = redis.call('APPEND', KEYS[i], line)
  if answers[i] == #line then redis.call('PEXPIRE', KEYS[i], 3600000) end
end
return answers
