-- KEYS per record: idempotency entry. ARGV: number, idempotency window (ms); per record: request hash.
-- Answers per record: 'open' if it is new or its first try may not have reached the queue, 'queued' or 'mismatch'.
local answers = {}
for i = 1, tonumber(ARGV[1]) do
  local hash = ARGV[2 + i]
  local known = redis.call('GET', KEYS[i])
  if known == hash .. ':queued' then answers[i] = 'queued'
  elseif known and known ~= hash then answers[i] = 'mismatch'
  else
    redis.call('SET', KEYS[i], hash, 'PX', ARGV[2])
    answers[i] = 'open'
  end
end
return answers
