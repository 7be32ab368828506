-- Forget a worker and its own stats, unless it holds jobs, has beaten since its heartbeat was read, or lives.
--
-- KEYS  the lease, its batch, its latest outcomes, when it started, the set of workers, the heartbeats, the trees,
--       the key that runs out when it is dead, its stat:processed and stat:failed
-- ARGV  the worker's id, its heartbeat as it was read or "" for whatever it is, its process' token, or "" for a worker
--       of somebody else's, which must not live
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 or (ARGV[2] ~= '' and redis.call('HGET', KEYS[6], ARGV[1]) ~= ARGV[2]) then
  return 0
end
local alive = redis.call('GET', KEYS[8])
if alive and (ARGV[3] == '' or alive ~= ARGV[3]) then
  return 0
end
redis.call('DEL', KEYS[3], KEYS[4], KEYS[8], KEYS[9], KEYS[10])
redis.call('SREM', KEYS[5], ARGV[1])
redis.call('HDEL', KEYS[6], ARGV[1])
redis.call('HDEL', KEYS[7], ARGV[1])
return 1
