-- End the jobs that a worker has performed, in one step: remove the lease, count, store the failures, and say in
-- Redis how they ended until the worker's next job; the next of a batch gets its lease.
-- Whoever removes the lease decides the outcome; everybody else gets 0.
--
-- KEYS  the lease, the batch, the latest outcomes, then stat:processed of all and of the worker, stat:failed of all
--       and of the worker, the failure list, the set of failure lists
-- ARGV  how many jobs ended, the lease as it was read, 1 if it is to be there and 0 if not, how many to count as
--       processed, and as failed, the name to put into the set of failure lists or "", the outcomes' text or "", then
--       the failures to store
--
-- The lease is not to be there where somebody who knows of no batches has removed it alone: these jobs, the first of
-- the batch, followed the one whose outcome that was.
local held = redis.call('GET', KEYS[1])
local of_batch = tonumber(ARGV[1])
if ARGV[3] == '1' then
  if held ~= ARGV[2] then
    return 0
  end
  of_batch = of_batch - 1
elseif held or redis.call('LLEN', KEYS[2]) == 0 then
  return 0
end
if #ARGV > 7 then
  -- Looked at first: once the lease is gone, nothing may go wrong any more.
  local kind = redis.call('TYPE', KEYS[8]).ok
  if kind ~= 'list' and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[8] .. ' must be the list of failures, but is a ' .. kind)
  end
end
-- The first write, as it is allowed when Redis is full, and makes the others allowed.
redis.call('DEL', KEYS[1])
for i = 8, #ARGV do
  redis.call('RPUSH', KEYS[8], ARGV[i])
end
if #ARGV > 7 and ARGV[6] ~= '' then
  redis.pcall('SADD', KEYS[9], ARGV[6])
end
if ARGV[7] ~= '' then
  redis.pcall('SET', KEYS[3], ARGV[7])
end
if ARGV[4] ~= '0' then
  redis.pcall('INCRBY', KEYS[4], ARGV[4])
  redis.pcall('INCRBY', KEYS[5], ARGV[4])
end
if ARGV[5] ~= '0' then
  redis.pcall('INCRBY', KEYS[6], ARGV[5])
  redis.pcall('INCRBY', KEYS[7], ARGV[5])
end
if of_batch > 0 then
  redis.call('LTRIM', KEYS[2], of_batch, -1)
end
local following = redis.call('LPOP', KEYS[2])
if following then
  redis.call('SET', KEYS[1], following)
end
return 1
