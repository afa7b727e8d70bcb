local answers = {}
for i = 1, tonumber(ARGV[1]) do answers[i] = redis.call('INCRBY', KEYS[i], ARGV[i + 1]) end
return answers
