-- One user's inbox. Keys of a user, in this order, seven of them:
-- items (hash id -> state|sealed), index (zset by createdAt), unread (zset), seen ids (zset by time), head (hash), log (stream), channel.
-- State is `deliveredAt,readAt,seenAt,archivedAt` in ms, 0 for never.
-- A log entry's id is `<offset>-0`; fields: e event, i id, u unread count after it, s state after it, and for a deletion v the value deleted,
-- so that an earlier entry that names the item can still be replayed.

local HOUR = 3600000

local function userAt(first)
  return {
    items = KEYS[first], index = KEYS[first + 1], unread = KEYS[first + 2], seen = KEYS[first + 3],
    head = KEYS[first + 4], log = KEYS[first + 5], channel = KEYS[first + 6],
  }
end

-- now, retention (ms), max (items), logMax (entries), publish (command), newEpoch
local function optionsAt(first)
  return {
    now = tonumber(ARGV[first]), retention = tonumber(ARGV[first + 1]), max = tonumber(ARGV[first + 2]),
    logMax = ARGV[first + 3], publish = ARGV[first + 4], newEpoch = ARGV[first + 5],
  }
end

local OPTIONS = 6
local DAY = 24 * HOUR

local function expire(options, key)
  redis.call('PEXPIRE', key, options.retention + DAY)
end

-- The identity of the log, made when there is none.
local function epochOf(user, options)
  local epoch = redis.call('HGET', user.head, 'epoch')
  if epoch then return epoch end
  redis.call('HSET', user.head, 'epoch', options.newEpoch)
  expire(options, user.head)
  return options.newEpoch
end

-- Takes the next offset, writes the change to the log and announces it with the sealed body, if it has one. `deleted` is the value that is gone.
local function record(user, options, epoch, event, id, unread, state, sealed, deleted)
  local offset = redis.call('HINCRBY', user.head, 'offset', 1)
  if deleted then
    redis.call('XADD', user.log, 'MAXLEN', '=', options.logMax, offset .. '-0', 'e', event, 'i', id, 'u', unread, 's', state, 'v', deleted)
  else
    redis.call('XADD', user.log, 'MAXLEN', '=', options.logMax, offset .. '-0', 'e', event, 'i', id, 'u', unread, 's', state)
  end
  if offset == 1 then expire(options, user.log) end
  redis.call(options.publish, user.channel, table.concat({ epoch, offset, unread, event, id, state, sealed }, '|'))
  return offset
end

local function remove(user, options, epoch, id)
  local value = redis.call('HGET', user.items, id)
  redis.call('ZREM', user.index, id)
  redis.call('ZREM', user.unread, id)
  if not value then return end
  redis.call('HDEL', user.items, id)
  local state = string.match(value, '^([^|]*)|')
  record(user, options, epoch, 'deleted', id, redis.call('ZCARD', user.unread), state, '', value)
end

-- Once an hour for a user in use: what is too old goes, and the keys live on.
local function upkeep(user, options, epoch)
  local due = tonumber(redis.call('HGET', user.head, 'upkeep') or '0') + HOUR
  if options.now < due then return end
  redis.call('HSET', user.head, 'upkeep', options.now)
  local old = redis.call('ZRANGEBYSCORE', user.index, '-inf', '(' .. (options.now - options.retention))
  for _, id in ipairs(old) do remove(user, options, epoch, id) end
  for _, key in ipairs({ user.items, user.index, user.unread, user.seen, user.head, user.log }) do expire(options, key) end
end
