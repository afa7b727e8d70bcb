-- KEYS[1] template hash. ARGV: version, definition, now, how long superseded versions are kept (ms), and the version that must still be
-- current, if any. Answers 1 if this became the current version, 0 if it was, -1 if another version is current than must be.
local key, version, now = KEYS[1], ARGV[1], tonumber(ARGV[3])
local current = redis.call('HGET', key, 'current')
if current == version then return 0 end
if ARGV[5] and current ~= ARGV[5] then return -1 end
if current then redis.call('HSET', key, 'superseded:' .. current, now) end
redis.call('HSET', key, 'current', version, 'version:' .. version, ARGV[2])
redis.call('HDEL', key, 'superseded:' .. version)
local fields = redis.call('HGETALL', key)
for i = 1, #fields, 2 do
  local old = string.match(fields[i], '^superseded:(.*)$')
  if old and tonumber(fields[i + 1]) < now - tonumber(ARGV[4]) then redis.call('HDEL', key, fields[i], 'version:' .. old) end
end
return 1
