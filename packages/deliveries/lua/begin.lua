-- KEYS per delivery: record. ARGV: number; per delivery: `<channel>[/<address>]`, `<channel>`, the claim's JSON without its last brace, whose claim it
-- is, and what to do where an earlier one is open: 'refuse'; 'redriven', the same, but for what was left to a person; 'resend' once its time is over;
-- 'repeat' at once; or 'ours' (go ahead and note nothing).
-- Answers per delivery: 'go', 'again' (it may have been sent before), 'ended <status>', or 'open <status> <1 if sent again before> <its JSON>'.
local answers = {}
for i = 1, tonumber(ARGV[1]) do
  local record, at = redis.call('GET', KEYS[i]), 5 * i - 3
  local name, channel, mode = ARGV[at], ARGV[at + 1], ARGV[at + 4]
  local s = { doubt = false }
  if record and (string.find(record, '\n' .. name .. ':', 1, true) or string.find(record, '\n' .. channel .. ':', 1, true)) then
    s = stand(record, name, channel)
  end
  if s.ended then answers[i] = 'ended ' .. s.ended
  -- The answer to this very claim was lost, and it was asked for once more.
  elseif s.claim == ARGV[at + 3] and s.last == 'sending' then answers[i] = string.find(s.json, '"resent":true', 1, true) and 'again' or 'go'
  elseif s.claim and mode == 'ours' then answers[i] = 'go'
  elseif (s.claim and (mode == 'refuse' or mode == 'redriven' or (mode == 'resend' and s.live))) or (s.left and (mode == 'refuse' or mode == 'resend')) then answers[i] = 'open ' .. s.last .. ' ' .. (s.resent and 1 or 0) .. ' ' .. s.json
  else
    local again = s.claim ~= nil or s.doubt
    redis.call('APPEND', KEYS[i], '\n' .. name .. ':sending ' .. ARGV[at + 2] .. (again and ',"resent":true}' or '}'))
    -- Its job was faster than the record: what is noted waits an hour for it.
    if not record then redis.call('PEXPIRE', KEYS[i], 3600000) end
    answers[i] = again and 'again' or 'go'
  end
end
return answers
