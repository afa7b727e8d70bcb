-- KEYS: since when tokens of a user count. ARGV: the new moment (ms), how long it is kept (ms), PUBLISH or SPUBLISH, the channel.
-- A clock that lags must not bring back what was revoked by another. Answers the moment that holds.
local before = tonumber(redis.call('GET', KEYS[1]) or 0)
local since = ARGV[1]
if before > tonumber(since) then since = string.format('%.0f', before) end
redis.call('SET', KEYS[1], since, 'PX', ARGV[2])
redis.call(ARGV[3], ARGV[4], 'revoked|' .. since)
return tonumber(since)
