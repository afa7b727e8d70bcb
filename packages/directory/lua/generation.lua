-- KEYS: owner of a token. Answers the next generation of the token: µs since the epoch, or one more than the last where the clock has not
-- moved on. Going by the clock, generations go on rising when the key is gone and made anew.
local now = redis.call('TIME')
local last = tonumber(redis.call('HGET', KEYS[1], 'last') or '0')
local generation = string.format('%.0f', math.max(last + 1, now[1] * 1000000 + now[2]))
redis.call('HSET', KEYS[1], 'last', generation)
return generation
