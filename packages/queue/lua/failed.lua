-- KEYS per job: its hash. ARGV[1] number of jobs. Answers per job: false if it is gone, else a list of its failure, the tries made in it, the
-- tries before it, and the ids of its items. What is sealed stays here.
local answers = {}
for i = 1, tonumber(ARGV[1]) do
  local job = redis.call('HMGET', KEYS[i], 'data', 'failedReason', 'atm')
  answers[i] = false
  if job[1] then
    local readable, data = pcall(cjson.decode, job[1])
    if not readable or type(data) ~= 'table' then data = {} end
    local answer = { job[2] or '', tonumber(job[3]) or 0, tonumber(data.tries) or 0 }
    if type(data.ids) == 'table' then
      for _, id in ipairs(data.ids) do answer[#answer + 1] = tostring(id) end
    end
    answers[i] = answer
  end
end
return answers
