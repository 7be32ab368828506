-- End a job: remove the lease, count, and store the failure if there is one, in one step.
-- Whoever removes the lease decides the outcome; everybody else gets 0.
--
-- KEYS  the lease, then stat:processed of all and of the worker, stat:failed of all and of the worker,
--       the failure list, the set of failure lists
-- ARGV  the failure entry or "", whether to count (1 or 0), the name to put into the set of failure lists or ""
if redis.call('DEL', KEYS[1]) == 0 then
  return 0
end
local failed = ARGV[1] ~= ''
if ARGV[2] == '1' then
  redis.call('INCRBY', KEYS[2], 1)
  redis.call('INCRBY', KEYS[3], 1)
  if failed then
    redis.call('INCRBY', KEYS[4], 1)
    redis.call('INCRBY', KEYS[5], 1)
  end
end
if failed and KEYS[6] ~= '' then
  redis.call('RPUSH', KEYS[6], ARGV[1])
  if ARGV[3] ~= '' then
    redis.call('SADD', KEYS[7], ARGV[3])
  end
end
return 1
