-- KEYS[1] a list or sorted set of job ids. ARGV: prefix of the keys of jobs, first and last position. Answers how many jobs there were, then the ids of
-- their items as JSON lists, which are in clear; what is sealed stays here.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then return { 0 } end
local jobs = redis.call(kind == 'list' and 'LRANGE' or 'ZRANGE', KEYS[1], ARGV[2], ARGV[3])
local answers = { #jobs }
for _, job in ipairs(jobs) do
  local data = redis.call('HGET', ARGV[1] .. job, 'data')
  local ids = data and string.match(data, '"ids":(%b[])')
  if ids then answers[#answers + 1] = ids end
end
return answers
