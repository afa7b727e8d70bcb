-- KEYS[1] record. ARGV: now (ms). Stops what is neither sent nor being sent. Answers a list: `<channel>[/<address>]`, then 1 if it is canceled, 0 if it is
-- out, going out, or may be out; and so on. What ended otherwise (skipped) is left out. Nothing if there is no record.
local record = redis.call('GET', KEYS[1])
local first = record and string.match('\n' .. record, '\n({[^\n]*)')
if not first then return false end

local names, known, with = {}, {}, {}
local function add(name)
  if not known[name] then
    known[name] = true
    names[#names + 1] = name
  end
end
for name in string.gmatch(record, '\n([%w_-]+/[%w_-]+):') do
  add(name)
  local channel = string.match(name, '^[^/]+')
  known[channel], with[channel] = true, true
end
for _, channel in ipairs(cjson.decode(first).channels) do add(channel) end

local answers, line = {}, ':canceled {"at":' .. ARGV[1] .. ',"attempts":0}'
for _, name in ipairs(names) do
  local channel = string.match(name, '^[^/]+')
  local s = stand(record, name, channel)
  if s.ended == nil and s.last ~= 'sending' and s.last ~= 'unknown' then
    redis.call('APPEND', KEYS[1], '\n' .. name .. line)
    s.ended = 'canceled'
  end
  if s.ended == nil or OUT[s.ended] or s.ended == 'canceled' then
    answers[#answers + 1] = name
    answers[#answers + 1] = s.ended == 'canceled' and not s.doubt and not s.resent and 1 or 0
  end
end
-- For addresses that the renderer has not noted yet.
for _, channel in ipairs(cjson.decode(first).channels) do
  if not string.find(record, '\n' .. channel .. ':canceled', 1, true) and
    (with[channel] or stand(record, channel, channel).ended == 'skipped') then
    redis.call('APPEND', KEYS[1], '\n' .. channel .. line)
  end
end
return answers
