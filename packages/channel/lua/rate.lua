-- The generic cell rate algorithm: one rate for all who share the keys. KEYS: when the next call is due (ms), and when whoever was sent away last was
-- asked to come back (ms). ARGV: calls wanted, ms per call, longest wait that is any use (ms), longest time to send away for (ms).
-- Answers how long to wait for the turn that was taken (ms); or, when none was, minus how long to stay away: those who wait come back one after the other.
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local span = ARGV[1] * ARGV[2]
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
if due - now > tonumber(ARGV[3]) then
  local back = math.max(tonumber(redis.call('GET', KEYS[2]) or 0), due)
  if back - now > tonumber(ARGV[4]) then back = due end
  redis.call('SET', KEYS[2], string.format('%.3f', back + span), 'PX', math.ceil(back + span - now) + 1000)
  return -math.ceil(back - now)
end
redis.call('SET', KEYS[1], string.format('%.3f', due + span), 'PX', math.ceil(due + span - now) + 1000)
return math.ceil(due - now)
