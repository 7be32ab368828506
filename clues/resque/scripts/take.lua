-- Take a job: pop the first item of the first queue that has one, and write the worker's lease, in one step,
-- so that a job in Redis is always somewhere.
--
-- KEYS  the worker's lease, the pause key, then the queues in order
-- ARGV  run_at, then each queue's name as a JSON string
-- gives {"taken", position of the queue from 0, item} | {"held", lease} | {"paused"} | {} | the first error
--
-- A worker that holds a lease gets it again: its reply was lost, or its client sent the command twice.
local held = redis.call('GET', KEYS[1])
if held then
  return {'held', held}
end
local pause = redis.call('GET', KEYS[2])
if pause and string.lower(string.match(pause, '^%s*(.-)%s*$')) == 'true' then
  return {'paused'}
end
local refused = {}
for i = 3, #KEYS do
  local item = redis.pcall('LPOP', KEYS[i])
  if type(item) == 'table' then
    -- Something else stands under the queue's name: it must not keep the worker from the other queues.
    refused = refused.err and refused or item
  elseif item then
    -- Concatenated, never re-encoded: cjson would change [] and 1.0 and big numbers.
    local lease = '{"queue":' .. ARGV[i - 1] .. ',"run_at":"' .. ARGV[1] .. '","payload":' .. item .. '}'
    local set = redis.pcall('SET', KEYS[1], lease)
    if set.err then
      redis.call('LPUSH', KEYS[i], item)
      return set
    end
    return {'taken', i - 3, item}
  end
end
return refused
