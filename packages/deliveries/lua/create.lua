-- KEYS per record: record hash, idempotency entry. ARGV: number, retention (ms), idempotency window (ms);
-- per record: user id, template id, template version, channels, createdAt, request hash or ''.
-- Answers per record: 'created'; for one with a request hash also 'queued' or 'mismatch', and then writes nothing.
local answers = {}
for i = 0, tonumber(ARGV[1]) - 1 do
  local record, entry = KEYS[1 + 2 * i], KEYS[2 + 2 * i]
  local at = 4 + 6 * i
  local hash = ARGV[at + 5]
  local answer = 'created'
  if hash ~= '' then
    local known = redis.call('GET', entry)
    if known == hash .. ':queued' then answer = 'queued'
    elseif known and known ~= hash then answer = 'mismatch'
    else redis.call('SET', entry, hash, 'PX', ARGV[3]) end
  end
  if answer == 'created' then
    redis.call('HSET', record, 'userId', ARGV[at], 'templateId', ARGV[at + 1], 'templateVersion', ARGV[at + 2], 'channels', ARGV[at + 3], 'createdAt', ARGV[at + 4])
    redis.call('PEXPIRE', record, ARGV[2])
  end
  answers[i + 1] = answer
end
return answers
