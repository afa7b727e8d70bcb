-- KEYS: a hash. Removes it. Answers all its fields and values, one after the other.
local all = redis.call('HGETALL', KEYS[1])
redis.call('DEL', KEYS[1])
return all
