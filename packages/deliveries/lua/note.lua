-- KEYS per step: record. ARGV: number; per step: `<channel>[/<address>]`, `<channel>`, status, JSON, and who says so: the owner of a claim, '' for
-- nobody in particular, or '*' for somebody who may end any claim. Answers per step 'noted', 'known' or 'refused'.
-- A record that is not there yet may be on its way (its job was faster): what is noted of it waits an hour.

-- Steps that would take an open claim from its owner.
local GUARDED = { pending = true, held = true, skipped = true, failed = true }

local function verdict(record, name, channel, status, by)
  local s = stand(record, name, channel)
  if s.claim and s.claim ~= by and by ~= '*' then return 'refused' end
  -- Said of a delivery of which there is nothing to say yet: an address that was found.
  if status == 'pending' and by == '' and s.seen then return 'known' end
  if status ~= 'held' then return 'noted' end
  if s.last == 'held' then return 'known' end
  -- A try that was given back before anything was sent leaves no trace, or a long outage would fill the record.
  local try = s.claim and '\n' .. name .. ':sending ' .. s.json
  if try and s.last == 'sending' and string.sub(record, -#try) == try then return 'noted', string.sub(record, 1, -#try - 1) end
  return 'noted'
end

local answers = {}
for i = 1, tonumber(ARGV[1]) do
  local at = 5 * i - 3
  local name, channel, status, by = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 4]
  local line, without = '\n' .. name .. ':' .. status .. ' ' .. ARGV[at + 3], nil
  answers[i] = 'noted'
  if GUARDED[status] then
    local record = redis.call('GET', KEYS[i]) or ''
    answers[i], without = verdict(record, name, channel, status, by)
    if without then
      redis.call('SET', KEYS[i], without, 'KEEPTTL')
      if stand(without, name, channel).last == 'held' then answers[i] = 'known' end
    end
  end
  if answers[i] == 'noted' and redis.call('APPEND', KEYS[i], line) == #line then redis.call('PEXPIRE', KEYS[i], 3600000) end
end
return answers
