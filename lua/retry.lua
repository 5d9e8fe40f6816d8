-- FLAGS    allow-oom
-- retry: settle n deliveries as failed; they come back after a delay, or die when spent.
--
-- USES     READY SCHEDULED PENDING DEAD ATTEMPTS BELL ALARM META
-- ARGV     n times, 0..1000 items:
--          id, attempt  the receipt
--          line         the whole new attempt line, its DELIVERIES equal to attempt
--          delay        ms; 0 = to the tail of ready
-- RETURNS  n times: scheduled | ready | dead | lost
-- COST     O(n log pending), n <= 1000
local size, now = open(), clock()
local ids, held, kept = receipts(4, 1, size)

local ready, scheduled, dead, lines, reply, earliest = {}, {}, {}, {}, {}, math.huge
for i, id in ipairs(ids) do
  local attempt, line, at = ARGV[4 * i - 2], ARGV[4 * i - 1], now + whole(ARGV[4 * i])
  local deliveries, failures, max = numbers(line)
  demand(max and digits(deliveries) == attempt, 'BADARG an attempt line does not fit its receipt')
  demand(at < MAX_EXACT, 'BADARG a delay is too long')
  reply[i] = 'lost'
  if held[i] then
    pair(lines, id, line)
    if spent(failures, max) then
      pair(dead, digits(now), id)
      reply[i] = 'dead'
    elseif at > now then
      pair(scheduled, digits(at), id)
      earliest = math.min(earliest, at)
      reply[i] = 'scheduled'
    else
      ready[#ready + 1] = id
      reply[i] = 'ready'
    end
  end
end

if #kept > 0 then
  remove(PENDING, kept)
  call('HSET', ATTEMPTS, unpack(lines))
  add(SCHEDULED, scheduled)
  if #scheduled > 0 then ring_alarm(size, SCHEDULED, earliest, now) end
  add(DEAD, dead)
  if #ready > 0 then
    call('RPUSH', READY, unpack(ready))
    ring_bell(size)
  end
  count('retried', #kept - #dead / 2)
  count('died', #dead / 2)
end
return reply
