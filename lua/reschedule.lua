-- FLAGS    allow-oom
-- reschedule: give n waiting messages another due time.
--
-- USES     READY SCHEDULED PENDING DEAD MESSAGES BELL ALARM META
-- ARGV     n times, 0..1000 items:
--          id
--          due  delay in ms, or @ and the absolute ms; past times mean ready
-- RETURNS  n times: scheduled | ready | missing | deferred (not done: ask again in another call),
--          or, unchanged: pending | dead
-- COST     O(n log n), n <= 1000, and O(ready) for at most one id that is in ready
local size, now, ids = open(), clock(), every(2, 1)
if #ids == 0 then return {} end

local found, seen, reply, earliest = places(ids), {}, {}, math.huge
local scheduled, promoted, in_ready = {}, {}, nil
for i, id in ipairs(ids) do
  local due, state = ARGV[2 * i], found[i]
  local absolute = string.match(due, '^@(%d+)$')
  local at = absolute and whole(absolute) or now + whole(due)
  demand(at < MAX_EXACT, 'BADARG a due time is too large')
  if not state then state = call('HEXISTS', MESSAGES, id) == 1 and 'ready' or 'missing' end
  if seen[id] then state = 'missing' end
  seen[id] = true
  reply[i] = state
  if state == 'ready' and at > now and in_ready then
    reply[i] = 'deferred'
  elseif (state == 'ready' or state == 'scheduled') and at > now then
    if state == 'ready' then in_ready = id end
    pair(scheduled, digits(at), id)
    earliest = math.min(earliest, at)
    reply[i] = 'scheduled'
  elseif state == 'scheduled' then
    promoted[#promoted + 1] = id
    reply[i] = 'ready'
  end
end

if in_ready then call('LREM', READY, 1, in_ready) end
remove(SCHEDULED, promoted)
if #promoted > 0 then
  call('RPUSH', READY, unpack(promoted))
  ring_bell(size)
end
add(SCHEDULED, scheduled)
if #scheduled > 0 then ring_alarm(size, SCHEDULED, earliest, now) end
return reply
