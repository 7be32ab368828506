-- Retry a failure: mark its entry and push its job, in one step, unless the list has moved meanwhile.
--
-- KEYS  the failure list, the set of queues, the queue
-- ARGV  the entry's index, the entry as it was read, the entry as marked, the queue's name, the item
if redis.call('LINDEX', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
redis.call('LSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('SADD', KEYS[2], ARGV[4])
redis.call('RPUSH', KEYS[3], ARGV[5])
return 1
