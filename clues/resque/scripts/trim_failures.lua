-- Remove a failure and all that are older, unless the list has moved meanwhile.
--
-- KEYS  the failure list
-- ARGV  the failure's index, its bytes
if redis.call('LINDEX', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
redis.call('LTRIM', KEYS[1], ARGV[1] + 1, -1)
return 1
