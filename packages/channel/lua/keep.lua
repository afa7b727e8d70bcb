-- KEYS: hash of messages, list of their ids (newest first). ARGV: how many are kept, for how long (ms); then id and message, and so on.
for i = 3, #ARGV, 2 do
  if redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) == 1 then redis.call('LPUSH', KEYS[2], ARGV[i]) end
end
while redis.call('LLEN', KEYS[2]) > tonumber(ARGV[1]) do redis.call('HDEL', KEYS[1], redis.call('RPOP', KEYS[2])) end
for i = 1, 2 do redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
return 1
