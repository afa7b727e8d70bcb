-- KEYS[1] record. ARGV: now (ms). Stops what is neither sent nor being sent. Answers a list: `<channel>[/<address>]`, then 1 if it will never be
-- sent, else 0; and so on. Nothing if there is no record.
local record = redis.call('GET', KEYS[1])
local first = record and string.match('\n' .. record, '\n({[^\n]*)')
if not first then return false end

local names, known = {}, {}
local function add(name)
  if not known[name] then
    known[name] = true
    names[#names + 1] = name
  end
end
for name in string.gmatch(record, '\n([%w_-]+/[%w_-]+):') do
  add(name)
  known[string.match(name, '^[^/]+')] = true
end
for _, channel in ipairs(cjson.decode(first).channels) do add(channel) end

local answers, line = {}, ':canceled {"at":' .. ARGV[1] .. ',"attempts":0}'
for _, name in ipairs(names) do
  local channel = string.match(name, '^[^/]+')
  local ended, last = stand(record, name, channel)
  local stopped
  if ended then stopped = ended ~= 'sent' and ended ~= 'delivered' and ended ~= 'bounced'
  else stopped = last ~= 'sending' and last ~= 'unknown' end
  if stopped and not ended then
    redis.call('APPEND', KEYS[1], '\n' .. name .. line)
    -- For addresses that the renderer has not noted yet.
    if name ~= channel then redis.call('APPEND', KEYS[1], '\n' .. channel .. line) end
  end
  answers[#answers + 1] = name
  answers[#answers + 1] = stopped and 1 or 0
end
return answers
