-- One user's inbox. Keys of a user, in this order, six of them:
-- items (hash: id -> state|sealed), index (zset of ids by createdAt), gone (zset of ids by the time they were removed),
-- head (hash: epoch, offset, unread, upkeep), log (stream), channel.
-- State is `deliveredAt,readAt,seenAt,archivedAt` in ms, 0 for never.
-- A log entry's id is `<offset>-0`, its field c is `event|id|unread count after it|state after it`; that of a deletion has the value that is gone
-- as v, so that earlier entries naming the item can still be replayed.

local HOUR = 3600000
local DAY = 24 * HOUR

local function userAt(first)
  return {
    items = KEYS[first], index = KEYS[first + 1], gone = KEYS[first + 2],
    head = KEYS[first + 3], log = KEYS[first + 4], channel = KEYS[first + 5],
  }
end

-- now, retention (ms), max (items), logMax (entries), publish (command), newEpoch, rememberFor (ms ids of removed items are known)
local function optionsAt(first)
  return {
    now = tonumber(ARGV[first]), retention = tonumber(ARGV[first + 1]), max = tonumber(ARGV[first + 2]),
    logMax = ARGV[first + 3], publish = ARGV[first + 4], newEpoch = ARGV[first + 5], rememberFor = tonumber(ARGV[first + 6]),
  }
end

local OPTIONS = 7

local function expire(options, key)
  redis.call('PEXPIRE', key, options.retention + DAY)
end

-- All keys of a user together, so that none outlives what the others count. The ids of removed items may have to outlive them all.
local function expireAll(user, options)
  for _, key in ipairs({ user.items, user.index, user.head, user.log }) do expire(options, key) end
  redis.call('PEXPIRE', user.gone, math.max(options.retention, options.rememberFor) + DAY)
end

-- Where the user's log stands: epoch, offset, unread. The log gets its identity when there is none.
local function headOf(user, options)
  local stored = redis.call('HMGET', user.head, 'epoch', 'offset', 'unread', 'upkeep')
  local head = { epoch = stored[1], offset = tonumber(stored[2] or '0'), unread = tonumber(stored[3] or '0'), upkeep = tonumber(stored[4] or '0') }
  if not head.epoch then
    head.epoch = options.newEpoch
    redis.call('HSET', user.head, 'epoch', head.epoch)
    expire(options, user.head)
  end
  return head
end

-- Takes the next offset, writes the change to the log and announces it with the sealed body, if it has one. `deleted` is the value that is gone.
local function record(user, options, head, event, id, state, sealed, deleted)
  head.offset = head.offset + 1
  redis.call('HSET', user.head, 'offset', head.offset, 'unread', head.unread)
  local change = event .. '|' .. id .. '|' .. head.unread .. '|' .. state
  if deleted then
    redis.call('XADD', user.log, 'MAXLEN', '~', options.logMax, head.offset .. '-0', 'c', change, 'v', deleted)
  else
    redis.call('XADD', user.log, 'MAXLEN', '~', options.logMax, head.offset .. '-0', 'c', change)
  end
  if head.offset == 1 then expire(options, user.log) end
  redis.call(options.publish, user.channel, head.epoch .. '|' .. head.offset .. '|' .. change .. '|' .. sealed)
end

local function remove(user, options, head, id)
  local value = redis.call('HGET', user.items, id)
  redis.call('ZREM', user.index, id)
  if not value then return end
  redis.call('HDEL', user.items, id)
  redis.call('ZADD', user.gone, options.now, id)
  if redis.call('ZCARD', user.gone) == 1 then expireAll(user, options) end
  local state, read = string.match(value, '^(%d+,(%d+),%d+,%d+)|')
  if read == '0' then head.unread = head.unread - 1 end
  record(user, options, head, 'deleted', id, state, '', value)
end

-- Once an hour for a user in use, or ten times per retention where that is short: what is too old goes, ids long gone are forgotten, and the keys live on.
local function upkeep(user, options, head)
  if options.now < head.upkeep + math.min(HOUR, options.retention / 10) then return end
  -- First, since it only frees: a script that has begun to write may go on when Redis has no room, and a page can be read even then.
  redis.call('ZREMRANGEBYSCORE', user.gone, '-inf', '(' .. (options.now - options.rememberFor))
  redis.call('HSET', user.head, 'upkeep', options.now)
  local old = redis.call('ZRANGEBYSCORE', user.index, '-inf', '(' .. (options.now - options.retention))
  for _, id in ipairs(old) do remove(user, options, head, id) end
  expireAll(user, options)
end
