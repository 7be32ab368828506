-- End the jobs that a worker has performed, and take its next ones, in one step: one trip for each job. It stands
-- below the two functions finish and take, which are finish.lua and take.lua.
--
-- KEYS  those of finish.lua, then those of take.lua
-- ARGV  how many of the keys are finish.lua's, how many of the arguments, then its arguments, then take.lua's
-- gives what take.lua gives; 0 if the lease was not there: then nothing was done
local function part(list, from, to)
  local found = {}
  for i = from, to do
    found[#found + 1] = list[i]
  end
  return found
end
local ended = part(ARGV, 3, 2 + ARGV[2])
local done = finish(part(KEYS, 1, ARGV[1]), ended)
if done ~= 1 then
  return done -- 0, or what keeps it from being done
end
local keys, wanted = part(KEYS, ARGV[1] + 1, #KEYS), part(ARGV, 3 + ARGV[2], #ARGV)
wanted.untold = true -- the outcomes that were just written stay: nobody has told of them yet
return take(keys, wanted)
