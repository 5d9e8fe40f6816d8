-- FLAGS    allow-oom
-- release: give n deliveries back without spending a failure.
--
-- USES     READY SCHEDULED PENDING ATTEMPTS BELL ALARM META
-- ARGV     n times, 0..1000 items:
--          id, attempt  the receipt
--          line         the whole new attempt line, its DELIVERIES equal to attempt
--          delay        ms; 0 = to the head of ready
-- RETURNS  n times: ready | scheduled | lost
-- COST     O(n log pending), n <= 1000
local size, now = open(), clock()
local ids, held, kept = receipts(4, 1, size)

local ready, scheduled, lines, reply, earliest = {}, {}, {}, {}, math.huge
for i = #ids, 1, -1 do
  local id, attempt, line, at = ids[i], ARGV[4 * i - 2], ARGV[4 * i - 1], now + whole(ARGV[4 * i])
  local deliveries, _, max = numbers(line)
  demand(max and digits(deliveries) == attempt, 'BADARG an attempt line does not fit its receipt')
  demand(at < MAX_EXACT, 'BADARG a delay is too long')
  reply[i] = 'lost'
  if held[i] then
    pair(lines, id, line)
    if at > now then
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
  if #ready > 0 then
    call('LPUSH', READY, unpack(ready))
    ring_bell(size)
  end
  count('released', #kept)
end
return reply
