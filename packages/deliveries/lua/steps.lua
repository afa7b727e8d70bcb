-- How a delivery stands, for the scripts that decide something by it.

-- A delivery may be sent from these; from a failed one if somebody tries it again.
local OPEN = { pending = true, held = true, sending = true, unknown = true, failed = true }
-- After these it is not sent any more.
local ENDED = { sent = true, delivered = true, bounced = true, skipped = true, expired = true, canceled = true }
local OUT = { sent = true, delivered = true, bounced = true }
-- The reason of an unknown outcome that is left to a person: no claim is open then.
local LEFT = '"reason":"OUTCOME_UNKNOWN"'

-- Reads the steps of `name`, which is `<channel>` or `<channel>/<address>`. `ended`: the status it ended with. `last`, `json`: its last step while
-- open. `claim`: whose claim is open, if one is, and `live`: whether its time is not over. `left`: whether it is left to a person. `doubt`: whether a try may have been sent unknown to us. `resent`: whether it was sent again nevertheless.
local function stand(record, name, channel)
  local s = { seen = false, doubt = false, resent = false }
  for other, status, json in string.gmatch(record, '\n([%w_/-]+):(%l+) ([^\n]*)') do
    if other == name then
      s.seen = true
      if ENDED[status] then
        if not s.ended or OUT[status] then s.ended = status end
      elseif OPEN[status] then
        s.last, s.json = status, json
        s.doubt = s.doubt or status == 'unknown'
        s.resent = s.resent or string.find(json, '"resent":true', 1, true) ~= nil
      end
    -- What was canceled before its address was known. Later, each address was asked about by itself.
    elseif other == channel and status == 'canceled' and not s.seen then s.ended = s.ended or status end
  end
  s.left = s.last == 'unknown' and string.find(s.json, LEFT, 1, true) ~= nil
  if s.last == 'sending' or (s.last == 'unknown' and not s.left) then
    s.claim = string.match(s.json, '"by":"([^"]*)"') or ''
    local time = redis.call('TIME')
    s.live = s.last == 'sending' and tonumber(string.match(s.json, '"until":(%d+)') or 0) > time[1] * 1000 + time[2] / 1000
  end
  return s
end
