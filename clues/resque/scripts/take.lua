-- Take a job: pop the first item of the first queue that has one, and write the worker's lease, in one step,
-- so that a job in Redis is always somewhere. A batch takes more of the same queue, whose leases wait in a list.
--
-- KEYS  the worker's lease, its batch, its latest outcomes, the pause key, the paused queues, then the queues in order
-- ARGV  run_at, the most items to take, the length of what stands before a queue's name in its key,
--       then each queue's name as a JSON string
-- gives {"taken", position of the queue from 0, lease ...} | {"held", lease ...} | {"paused"} | {} | the first error
--
-- A worker that holds a lease gets it again: its reply was lost, or its client sent the command twice.
if not ARGV.untold then
  redis.call('DEL', KEYS[3]) -- whoever takes again has told how its last jobs ended
end
local held = redis.call('GET', KEYS[1])
if not held then
  held = redis.call('LPOP', KEYS[2]) -- somebody who knows of no batches has removed the lease alone
  if held then
    redis.call('SET', KEYS[1], held)
  end
end
if held then
  local reply = redis.call('LRANGE', KEYS[2], 0, -1)
  table.insert(reply, 1, held)
  table.insert(reply, 1, 'held')
  return reply
end
local pause = redis.call('GET', KEYS[4])
if pause and string.lower(string.match(pause, '^%s*(.-)%s*$')) == 'true' then
  return {'paused'}
end
local resting = redis.call('EXISTS', KEYS[5]) == 1
local refused = {}
for i = 6, #KEYS do
  local rests = resting and redis.call('SISMEMBER', KEYS[5], string.sub(KEYS[i], ARGV[3] + 1)) == 1
  local item = not rests and redis.pcall('LPOP', KEYS[i])
  if type(item) == 'table' then
    -- Something else stands under the queue's name: it must not keep the worker from the other queues.
    refused = refused.err and refused or item
  elseif item then
    -- Concatenated, never re-encoded: cjson would change [] and 1.0 and big numbers.
    local head = '{"queue":' .. ARGV[i - 2] .. ',"run_at":"' .. ARGV[1] .. '","payload":'
    local set = redis.pcall('SET', KEYS[1], head .. item .. '}')
    if set.err then
      redis.call('LPUSH', KEYS[i], item)
      return set
    end
    local reply = {'taken', i - 6, head .. item .. '}'}
    -- One by one, as unpack takes only some thousands.
    for _, more in ipairs(tonumber(ARGV[2]) > 1 and redis.call('LPOP', KEYS[i], ARGV[2] - 1) or {}) do
      redis.call('RPUSH', KEYS[2], head .. more .. '}')
      table.insert(reply, head .. more .. '}')
    end
    return reply
  end
end
return refused
