-- KEYS per record: record, open records of its shard. ARGV: number, retention (ms); per record: its first line, its id, when it was created (ms).
-- Answers 'created' for each.
-- A record is a text: a first line that tells what it is about, then one line per step, in the order in which they came.
local answers = {}
for i = 1, tonumber(ARGV[1]) do
  local record, line = KEYS[2 * i - 1], ARGV[3 * i]
  if not redis.call('SET', record, line, 'PX', ARGV[2], 'NX') then
    -- Written before, or a step was noted first: readers take the first line of this kind.
    redis.call('APPEND', record, '\n' .. line)
    redis.call('PEXPIRE', record, ARGV[2])
  end
  redis.call('ZADD', KEYS[2 * i], ARGV[3 * i + 2], ARGV[3 * i + 1])
  answers[i] = 'created'
end
return answers
