-- KEYS per report: record, the mark that it was heard. ARGV: number; per report: line ('' to change nothing of the record), what makes it old news if
-- the record has it ('' for nothing), how long the mark stays (ms). Answers per report 1 if it was news of a record that is there, else 0.
local answers = {}
for i = 1, tonumber(ARGV[1]) do
  local record, line, known = redis.call('GET', KEYS[2 * i - 1]), ARGV[3 * i - 1], ARGV[3 * i]
  answers[i] = 0
  local news = redis.call('SET', KEYS[2 * i], '', 'PX', ARGV[3 * i + 1], 'NX')
  if news and line ~= '' and record and (known == '' or not string.find(record, known, 1, true)) then
    redis.call('APPEND', KEYS[2 * i - 1], '\n' .. line)
    answers[i] = 1
  end
end
return answers
