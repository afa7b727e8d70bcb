-- KEYS: stream. ARGV: per record its id (`<at>-<seq>`) and its text. What is there already is passed over, so that it can be sent again.
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local known = last and tonumber(string.match(last[1], '%-(%d+)$')) or 0
for i = 1, #ARGV, 2 do
  if tonumber(string.match(ARGV[i], '%-(%d+)$')) > known then redis.call('XADD', KEYS[1], ARGV[i], 'r', ARGV[i + 1]) end
end
return known
