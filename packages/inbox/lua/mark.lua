-- ARGV: options, id, mark. Answers state and sealed body of the item as they are then; nothing if there is no such item. What is so already is no change.
local user, options = userAt(1), optionsAt(1)
local id, mark = ARGV[1 + OPTIONS], ARGV[2 + OPTIONS]
local value = redis.call('HGET', user.items, id)
if not value then return {} end
local before, sealed = string.match(value, '^([%d,]+)|(.*)$')
local delivered, read, seen, archived = string.match(before, '^(%d+),(%d+),(%d+),(%d+)$')
local function unread() return read == '0' and 1 or 0 end
local function since(time) return time == '0' and tostring(options.now) or time end

local was = unread()
if mark == 'read' then read = since(read)
elseif mark == 'unread' then read = '0'
elseif mark == 'seen' then seen = since(seen)
elseif mark == 'unarchived' then archived = '0'
elseif mark == 'archived' and archived == '0' then
  archived = since(archived)
  read = since(read)
end

local state = table.concat({ delivered, read, seen, archived }, ',')
if state ~= before then
  redis.call('HSET', user.items, id, state .. '|' .. sealed)
  local head = headOf(user, options)
  head.unread = head.unread + unread() - was
  record(user, options, head, mark, id, state, sealed)
end
return { state, sealed }
