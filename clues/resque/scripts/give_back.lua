-- Give back a job that was taken and never begun: to the head of its queue, where it came from.
--
-- KEYS  the lease, the queue
-- ARGV  the lease as it was read, the item
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
-- The first write, as it is allowed when Redis is full, and makes the other allowed.
redis.call('DEL', KEYS[1])
redis.call('LPUSH', KEYS[2], ARGV[2])
return 1
