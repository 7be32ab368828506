-- End a job: remove the lease, count, and store the failure if there is one, in one step.
-- Whoever removes the lease decides the outcome; everybody else gets 0.
--
-- KEYS  the lease, then stat:processed of all and of the worker, stat:failed of all and of the worker,
--       the failure list, the set of failure lists
-- ARGV  1 if the job failed, the failure entry or "" to store none, 1 to count, the name to put into the set of
--       failure lists or "", the lease as it was read or "" for whatever it is
if redis.call('EXISTS', KEYS[1]) == 0 or (ARGV[5] ~= '' and redis.call('GET', KEYS[1]) ~= ARGV[5]) then
  return 0
end
if ARGV[2] ~= '' then
  -- Looked at first: once the lease is gone, nothing may go wrong any more.
  local kind = redis.call('TYPE', KEYS[6]).ok
  if kind ~= 'list' and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[6] .. ' must be the list of failures, but is a ' .. kind)
  end
end
-- The first write, as it is allowed when Redis is full, and makes the others allowed.
redis.call('DEL', KEYS[1])
if ARGV[2] ~= '' then
  redis.call('RPUSH', KEYS[6], ARGV[2])
  if ARGV[4] ~= '' then
    redis.pcall('SADD', KEYS[7], ARGV[4])
  end
end
if ARGV[3] == '1' then
  redis.pcall('INCRBY', KEYS[2], 1)
  redis.pcall('INCRBY', KEYS[3], 1)
  if ARGV[1] == '1' then
    redis.pcall('INCRBY', KEYS[4], 1)
    redis.pcall('INCRBY', KEYS[5], 1)
  end
end
return 1
