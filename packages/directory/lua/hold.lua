-- KEYS: a person. ARGV: field of a device, generation, sealed device, the most devices a person has. Gives the person the device, unless
-- it is there in a later generation. Answers the devices that left for it: field and value, one after the other.
local held = redis.call('HGET', KEYS[1], ARGV[1])
if not held or tonumber(string.match(held, '^%d+')) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
end
local devices, all = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 7) == 'device:' then
    devices[#devices + 1] = { all[i], all[i + 1], tonumber(string.match(all[i + 1], '^%d+')) }
  end
end
table.sort(devices, function(a, b) return a[3] < b[3] end)
local left = {}
for i = 1, #devices - tonumber(ARGV[4]) do
  redis.call('HDEL', KEYS[1], devices[i][1])
  left[#left + 1] = devices[i][1]
  left[#left + 1] = devices[i][2]
end
return left
