-- ARGV: options. Answers epoch, offset, unread count.
local head = headOf(userAt(1), optionsAt(1))
return { head.epoch, head.offset, head.unread }
