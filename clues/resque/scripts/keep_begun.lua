-- Give back the rest of a batch, but for the jobs that were begun: those stay under the lease.
--
-- KEYS  the lease, the batch, the queue
-- ARGV  how many jobs of those that the worker holds were begun (the lease's included)
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
local rest = redis.call('LRANGE', KEYS[2], ARGV[1] - 1, -1)
if #rest == 0 then
  return 0
end
redis.call('LTRIM', KEYS[2], 0, ARGV[1] - 2)
if ARGV[1] == '1' then
  redis.call('DEL', KEYS[2]) -- LTRIM 0 -1 keeps everything
end
for i = #rest, 1, -1 do
  redis.call('LPUSH', KEYS[3], rest[i])
end
return #rest
