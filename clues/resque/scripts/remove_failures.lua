-- Remove failures, each by its bytes: where it was read or, when the list has moved, wherever it is found.
-- By their places rather than by LREM for each, which would walk through the whole list each time.
--
-- KEYS  the failure list
-- ARGV  the index and the bytes of each
-- gives how many were still there
redis.call('LTRIM', KEYS[1], 0, -1) -- nothing, but a write that is allowed when Redis is full, and makes LSET allowed
local removed, moved = 0, 0
local gone = 'removed by clues'
for i = 1, #ARGV, 2 do
  local index = ARGV[i] - moved
  if redis.call('LINDEX', KEYS[1], index) ~= ARGV[i + 1] then
    index = redis.call('LPOS', KEYS[1], ARGV[i + 1], 'RANK', -1)
    moved = index and ARGV[i] - index or moved
  end
  if index then
    redis.call('LSET', KEYS[1], index, gone)
    removed = removed + 1
  end
end
if removed > 0 then
  redis.call('LREM', KEYS[1], 0, gone)
end
return removed
