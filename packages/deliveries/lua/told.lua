-- KEYS per record: ids of its user's notifications. ARGV: number, now (ms), retention (ms); per record: its id, when it was created (ms).
local answers = {}
local gone = ARGV[2] - ARGV[3]
for i = 1, tonumber(ARGV[1]) do
  redis.call('ZADD', KEYS[i], ARGV[2 * i + 3], ARGV[2 * i + 2])
  redis.call('ZREMRANGEBYSCORE', KEYS[i], 0, gone)
  redis.call('PEXPIRE', KEYS[i], ARGV[3])
  answers[i] = 1
end
return answers
