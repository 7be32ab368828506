-- Give back the rest of a batch, but for the jobs that were begun: those stay under the lease.
--
-- KEYS  the batch, the queue, the set of queues
-- ARGV  how many jobs of those that the worker holds were begun (the lease's included), the queue's name
local rest = redis.call('LRANGE', KEYS[1], ARGV[1] - 1, -1)
if #rest == 0 then
  return 0
end
if ARGV[1] == '1' then
  redis.call('DEL', KEYS[1]) -- LTRIM 0 -1 keeps everything
else
  redis.call('LTRIM', KEYS[1], 0, ARGV[1] - 2)
end
for i = #rest, 1, -1 do
  local _, before = string.find(rest[i], ',"payload":', 1, true) -- as take.lua writes it; never in a queue's name
  redis.call('LPUSH', KEYS[2], string.sub(rest[i], before + 1, -2))
end
redis.pcall('SADD', KEYS[3], ARGV[2]) -- it may have been removed meanwhile
return #rest
