-- KEYS[1] failed set, KEYS[2] job. ARGV: id, when it failed, tries it is to have. Gives a failed job its tries back before it is moved; answers
-- 1, or 0 if it has been moved since (also if it has failed anew).
local failedAt = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not failedAt or tonumber(failedAt) ~= tonumber(ARGV[2]) then return 0 end
local options = cjson.decode(redis.call('HGET', KEYS[2], 'opts') or '{}')
options.attempts = tonumber(ARGV[3])
redis.call('HSET', KEYS[2], 'opts', cjson.encode(options))
local readable, data = pcall(cjson.decode, redis.call('HGET', KEYS[2], 'data') or '')
if readable and type(data) == 'table' and data.tries then
  data.tries = 0
  data.redriven = true
  redis.call('HSET', KEYS[2], 'data', cjson.encode(data))
end
return 1
