-- End the jobs that a worker has performed, in one step: remove the lease, count, store the failures, and say in
-- Redis how they ended until the worker's next job; what is left of a batch gets the lease.
-- Whoever removes the lease decides the outcome; everybody else gets 0.
--
-- KEYS  the lease, the batch, the latest outcomes, then stat:processed of all and of the worker, stat:failed of all
--       and of the worker, the failure list, the set of failure lists
-- ARGV  how many jobs ended, the lease as it was read or "" for whatever it is, how many to count as processed, and
--       as failed, the name to put into the set of failure lists or "", the outcomes' text or "", the queue's name as
--       a JSON string, run_at, then the failures to store
local held = redis.call('GET', KEYS[1])
if not held or (ARGV[2] ~= '' and held ~= ARGV[2]) then
  return 0
end
if #ARGV > 8 then
  -- Looked at first: once the lease is gone, nothing may go wrong any more.
  local kind = redis.call('TYPE', KEYS[8]).ok
  if kind ~= 'list' and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[8] .. ' must be the list of failures, but is a ' .. kind)
  end
end
-- The first write, as it is allowed when Redis is full, and makes the others allowed.
redis.call('DEL', KEYS[1])
for i = 9, #ARGV do
  redis.call('RPUSH', KEYS[8], ARGV[i])
end
if #ARGV > 8 and ARGV[5] ~= '' then
  redis.pcall('SADD', KEYS[9], ARGV[5])
end
if ARGV[6] ~= '' then
  redis.pcall('SET', KEYS[3], ARGV[6])
end
if ARGV[3] ~= '0' then
  redis.pcall('INCRBY', KEYS[4], ARGV[3])
  redis.pcall('INCRBY', KEYS[5], ARGV[3])
end
if ARGV[4] ~= '0' then
  redis.pcall('INCRBY', KEYS[6], ARGV[4])
  redis.pcall('INCRBY', KEYS[7], ARGV[4])
end
if ARGV[1] ~= '1' then
  redis.call('LTRIM', KEYS[2], ARGV[1] - 1, -1)
end
local item = redis.call('LPOP', KEYS[2])
if item then
  redis.call('SET', KEYS[1], '{"queue":' .. ARGV[7] .. ',"run_at":"' .. ARGV[8] .. '","payload":' .. item .. '}')
end
return 1
