-- KEYS per record: record. ARGV: number, retention (ms); per record: its first line. Answers 'created' for each.
-- A record is a text that only grows: a first line that tells what it is about, then one line per step, in the order in which they came.
local answers = {}
for i = 1, tonumber(ARGV[1]) do
  local line = ARGV[2 + i]
  if not redis.call('SET', KEYS[i], line, 'PX', ARGV[2], 'NX') then
    -- Written before, or a step was noted first: readers take the first line of this kind.
    redis.call('APPEND', KEYS[i], '\n' .. line)
    redis.call('PEXPIRE', KEYS[i], ARGV[2])
  end
  answers[i] = 'created'
end
return answers
