-- FLAGS    allow-oom
-- cancel: remove n messages by id, wherever they are; a holder's ack is then lost.
--
-- USES     READY SCHEDULED PENDING DEAD MESSAGES ATTEMPTS KEYED META
-- ARGV     n times, 0..1000: id
-- RETURNS  n times: cancelled | missing | deferred (not done: ask again in another call)
-- COST     O(n log n), n <= 1000, and O(ready) for at most one id that is in ready
local size, ids = open(), every(1, 1)
if #ids == 0 then return {} end

local found, seen, gone, in_ready, reply = places(ids), {}, {}, nil, {}
for i, id in ipairs(ids) do
  local known = not seen[id] and (found[i] or call('HEXISTS', MESSAGES, id) == 1)
  seen[id] = true
  if not known then
    reply[i] = 'missing'
  elseif not found[i] and in_ready then
    reply[i] = 'deferred'
  else
    if not found[i] then in_ready = id end
    gone[#gone + 1] = id
    reply[i] = 'cancelled'
  end
end

if #gone > 0 then
  remove(SCHEDULED, gone)
  remove(PENDING, gone)
  remove(DEAD, gone)
  if in_ready then call('LREM', READY, 1, in_ready) end
  local records = forget(gone, size)
  count('cancelled', records)
  count('ghosts', #gone - records)
end
return reply
