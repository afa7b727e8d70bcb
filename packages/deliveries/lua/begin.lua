-- KEYS per delivery: record. ARGV: number; per delivery: `<channel>[/<address>]`, `<channel>`, the claim's JSON without its last brace, what to do
-- where an earlier try is open: 'refuse', 'resend' or 'ours' (go ahead and note nothing). Answers per delivery: 'go', 'again' (gone ahead though one was open), 'ended <status>', or 'open <status> <its JSON>'.
local answers = {}
for i = 1, tonumber(ARGV[1]) do
  local record, at = redis.call('GET', KEYS[i]), 4 * i - 2
  local key, channel = ARGV[at], ARGV[at + 1]
  local ended, last, step
  if record and (string.find(record, '\n' .. key .. ':', 1, true) or string.find(record, '\n' .. channel .. ':', 1, true)) then
    ended, last, step = stand(record, key, channel)
  end
  local open = last == 'sending' or (last == 'unknown' and not string.find(step, '"final":true', 1, true))
  if ended then answers[i] = 'ended ' .. ended
  elseif open and ARGV[at + 3] == 'refuse' then answers[i] = 'open ' .. last .. ' ' .. step
  elseif open and ARGV[at + 3] == 'ours' then answers[i] = 'go'
  else
    -- What was given up as unknown and is tried again by a person may be sent twice as well.
    local again = open or last == 'unknown'
    redis.call('APPEND', KEYS[i], '\n' .. key .. ':sending ' .. ARGV[at + 2] .. (again and ',"resent":true}' or '}'))
    -- Its job was faster than the record: what is noted waits an hour for it.
    if not record then redis.call('PEXPIRE', KEYS[i], 3600000) end
    answers[i] = again and 'again' or 'go'
  end
end
return answers
