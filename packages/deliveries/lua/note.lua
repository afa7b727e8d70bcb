-- KEYS per item: record. ARGV: number; per item: a line, and '1' if it is not to be noted right after one of the same delivery and status.
-- A record that is not there yet may be on its way (its job was faster): what is noted of it waits an hour.
local answers = {}
for i = 1, tonumber(ARGV[1]) do
  local line, known = '\n' .. ARGV[2 * i], false
  if ARGV[2 * i + 1] == '1' then
    local name, status = string.match(line, '^\n([^:]+):(%l+) ')
    local last
    for other in string.gmatch(redis.call('GET', KEYS[i]) or '', '\n' .. string.gsub(name, '%-', '%%-') .. ':(%l+) ') do last = other end
    known = last == status
  end
  answers[i] = 0
  if not known then
    answers[i] = redis.call('APPEND', KEYS[i], line)
    if answers[i] == #line then redis.call('PEXPIRE', KEYS[i], 3600000) end
  end
end
return answers
