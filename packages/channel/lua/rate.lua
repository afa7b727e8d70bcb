-- The generic cell rate algorithm: one rate for all who share the key. KEYS[1] when the next call is due (ms). ARGV: calls wanted, ms per call, longest
-- wait that is any use (ms). Answers how long to wait for the turn that was taken (ms), or minus how long it would be, when none was taken.
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local wait = due - now
if wait > tonumber(ARGV[3]) then return -math.ceil(wait) end
local next = due + ARGV[1] * ARGV[2]
redis.call('SET', KEYS[1], string.format('%.3f', next), 'PX', math.ceil(next - now) + 1000)
return math.ceil(wait)
