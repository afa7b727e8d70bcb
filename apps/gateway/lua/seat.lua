-- Sockets of users, a hash each: gateway -> `<sockets> <until when that counts, ms>`.
-- ARGV: number of calls, lease (ms), most sockets of a user; per call: gateway, its sockets of that user, whether they are to be
-- counted in any case (1 or 0). Answers per call: 1 counted, 0 too many, and nothing changed.
local calls, lease, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
-- The clock of this server, since those of the gateways differ.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answers = {}
for i = 1, calls do
  local key, at = KEYS[i], 4 + (i - 1) * 3
  local gateway, own, anyway = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2] == '1'
  local others = 0
  local entries = redis.call('HGETALL', key)
  for j = 1, #entries, 2 do
    if entries[j] ~= gateway then
      local sockets, untilWhen = string.match(entries[j + 1], '^(%d+) (%d+)$')
      if tonumber(untilWhen) > now then others = others + tonumber(sockets)
      else redis.call('HDEL', key, entries[j]) end
    end
  end
  answers[i] = 1
  if not anyway and others + own > most then answers[i] = 0
  elseif own == 0 then redis.call('HDEL', key, gateway)
  else
    redis.call('HSET', key, gateway, own .. ' ' .. string.format('%d', now + lease))
    redis.call('PEXPIRE', key, lease)
  end
end
return answers
