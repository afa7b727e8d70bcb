-- KEYS: owner of a token. Answers the next generation of the token: µs since the epoch, or one more than the last where the clock has not
-- moved on. Going by the clock, generations go on rising when the key is gone and made anew: a token that comes to be owned by nobody is not
-- remembered for longer than a registration can take.
local DAY = 24 * 3600 * 1000
local now = redis.call('TIME')
local last = tonumber(redis.call('HGET', KEYS[1], 'last') or '0')
local generation = string.format('%.0f', math.max(last + 1, now[1] * 1000000 + now[2]))
redis.call('HSET', KEYS[1], 'last', generation)
if redis.call('HEXISTS', KEYS[1], 'owner') == 0 then redis.call('PEXPIRE', KEYS[1], DAY) end
return generation
