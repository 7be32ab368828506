-- Give back what was taken and never begun, the rest of a batch too: to the head of its queue, where it came from.
--
-- KEYS  the lease, the batch, the queue
-- ARGV  the lease as it was read, its item
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
-- The first write, as it is allowed when Redis is full, and makes the others allowed.
redis.call('DEL', KEYS[1])
local rest = redis.call('LRANGE', KEYS[2], 0, -1)
redis.call('DEL', KEYS[2])
for i = #rest, 1, -1 do
  redis.call('LPUSH', KEYS[3], rest[i])
end
redis.call('LPUSH', KEYS[3], ARGV[2])
return 1 + #rest
