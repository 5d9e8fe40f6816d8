-- FLAGS    allow-oom
-- bury: settle n deliveries as hopeless; they go to the dead letters at once.
--
-- USES     PENDING DEAD ATTEMPTS META
-- ARGV     n times, 0..1000 items:
--          id, attempt  the receipt
--          line         the whole new attempt line, its DELIVERIES equal to attempt
-- RETURNS  n times: dead | lost
-- COST     O(n log pending), n <= 1000
local size, now = open(), digits(clock())
local ids, held, kept = receipts(3, 1, size)

local dead, lines, reply = {}, {}, {}
for i, id in ipairs(ids) do
  local attempt, line = ARGV[3 * i - 1], ARGV[3 * i]
  local deliveries, _, max = numbers(line)
  demand(max and digits(deliveries) == attempt, 'BADARG an attempt line does not fit its receipt')
  reply[i] = 'lost'
  if held[i] then
    pair(dead, now, id)
    pair(lines, id, line)
    reply[i] = 'dead'
  end
end

if #kept > 0 then
  remove(PENDING, kept)
  call('HSET', ATTEMPTS, unpack(lines))
  add(DEAD, dead)
  count('buried', #kept)
end
return reply
