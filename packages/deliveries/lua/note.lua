-- KEYS per step: record. ARGV: number; per step: `<channel>[/<address>]`, `<channel>`, status, JSON, and who says so: the owner of a claim, '' for
-- nobody in particular, or '*' for somebody who may end any claim. Answers per step 'noted', 'known' or 'refused'.
-- A record that is not there yet may be on its way (its job was faster): what is noted of it waits an hour.

-- Steps that would take an open claim from its owner.
local GUARDED = { pending = true, held = true, skipped = true, failed = true, unknown = true }

local function verdict(record, name, channel, status, by)
  local s = stand(record, name, channel)
  local owns = by == '*' or (by ~= '' and s.claim == by)
  if status == 'unknown' then return s.live and not owns and 'refused' or 'noted' end
  if s.claim and not owns then return 'refused' end
  -- What may be out does not end as if it were not, unless somebody has tried it again.
  if s.left and by == '' then return 'refused' end
  -- Said of a delivery of which there is nothing to say yet: an address that was found.
  if status == 'pending' and by == '' and s.seen then return 'known' end
  if status ~= 'held' then return 'noted' end
  if s.last == 'held' then return 'known' end
  -- A try that was given back before anything was sent leaves no trace, or a long outage would fill the record.
  local try = s.last == 'sending' and '\n' .. name .. ':sending ' .. s.json
  local from = try and string.find(record .. '\n', try .. '\n', 1, true)
  if not from then return 'noted' end
  return 'noted', string.sub(record, 1, from - 1) .. string.sub(record, from + #try)
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
      -- As it was before the try: held already, or somebody's open claim or doubt, which is not touched.
      local before = stand(without, name, channel)
      if before.last == 'held' or before.claim or before.left then answers[i] = 'known' end
    end
  end
  if answers[i] == 'noted' and redis.call('APPEND', KEYS[i], line) == #line then redis.call('PEXPIRE', KEYS[i], 3600000) end
end
return answers
