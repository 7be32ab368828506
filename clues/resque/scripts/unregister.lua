-- Forget a worker and its own stats, unless it holds a job, or has beaten since its heartbeat was read.
--
-- KEYS  the lease, when it started, the set of workers, the heartbeats, its stat:processed and stat:failed
-- ARGV  the worker's id, its heartbeat as it was read or "" for whatever it is
if redis.call('EXISTS', KEYS[1]) == 1 or (ARGV[2] ~= '' and redis.call('HGET', KEYS[4], ARGV[1]) ~= ARGV[2]) then
  return 0
end
redis.call('DEL', KEYS[2], KEYS[5], KEYS[6])
redis.call('SREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
return 1
