-- FLAGS    allow-oom
-- ack: settle n deliveries as done; their messages are gone.
--
-- USES     PENDING MESSAGES ATTEMPTS KEYED META
-- ARGV     n times, 0..1000 receipts: id, attempt
-- RETURNS  n times: acked | lost
-- COST     O(n log pending), n <= 1000
local size = open()
local ids, held, kept = receipts(2, 1, size)
if #kept > 0 then
  remove(PENDING, kept)
  local records = forget(kept, size)
  count('acked', records)
  count('ghosts', #kept - records)
end
for i = 1, #ids do ids[i] = held[i] and 'acked' or 'lost' end
return ids
