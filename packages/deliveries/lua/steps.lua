-- What begin.lua and cancel.lua read of a record.

-- A delivery may be sent from these; from a failed one if somebody tries it again.
local OPEN = { pending = true, held = true, sending = true, unknown = true, failed = true }
-- After these it is not sent any more.
local ENDED = { sent = true, delivered = true, bounced = true, skipped = true, expired = true, canceled = true }

-- The status in which a delivery ended, if it did, and its last step while open: status and JSON. `key` is `<channel>` or `<channel>/<address>`.
local function stand(record, key, channel)
  local ended, last, step
  for name, status, json in string.gmatch(record, '\n([%w_/-]+):(%l+) ([^\n]*)') do
    if name == key then
      if ENDED[status] then ended = ended or status
      elseif OPEN[status] then last, step = status, json end
    elseif name == channel and status == 'canceled' then ended = ended or status end
  end
  return ended, last, step
end
