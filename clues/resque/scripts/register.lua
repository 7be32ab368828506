-- Make a worker known, unless another process that lives has its id.
--
-- KEYS  the key that runs out when it is dead, the set of workers, when it started, the heartbeats, the trees,
--       its stat:processed and stat:failed
-- ARGV  its id, its process' token, seconds to live without a beat, when it started, its heartbeat, what is known of it
local other = redis.call('GET', KEYS[1])
if other and other ~= ARGV[2] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('SET', KEYS[3], ARGV[4])
redis.call('HSET', KEYS[4], ARGV[1], ARGV[5])
redis.call('HSET', KEYS[5], ARGV[1], ARGV[6])
redis.call('DEL', KEYS[6], KEYS[7])
return 1
