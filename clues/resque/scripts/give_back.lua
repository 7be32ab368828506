-- Give back what was taken and never begun, the rest of a batch too: to the head of its queue, where it came from.
--
-- KEYS  the lease, the batch, the queue, the set of queues
-- ARGV  the lease as it was read, its item, the queue's name
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
-- The first write, as it is allowed when Redis is full, and makes the others allowed.
redis.call('DEL', KEYS[1])
local rest = redis.call('LRANGE', KEYS[2], 0, -1)
redis.call('DEL', KEYS[2])
for i = #rest, 1, -1 do
  local _, before = string.find(rest[i], ',"payload":', 1, true) -- as take.lua writes it; never in a queue's name
  redis.call('LPUSH', KEYS[3], string.sub(rest[i], before + 1, -2))
end
redis.call('LPUSH', KEYS[3], ARGV[2])
redis.pcall('SADD', KEYS[4], ARGV[3]) -- it may have been removed meanwhile
return 1 + #rest
