-- FLAGS    allow-oom
-- extend: move the deadlines of n leases later; the receipts stay as they are.
--
-- USES     PENDING ATTEMPTS META
-- ARGV     n times, 0..1000 items:
--          id, attempt  the receipt
--          lease        ms from now, > 0; an earlier deadline is never set
-- RETURNS  n times: extended | lost
-- COST     O(n log pending), n <= 1000
local size, now = open(), clock()
local ids, held = receipts(3, 1, size)

local members, reply, last_lease, deadline = {}, {}, nil, nil
for i, id in ipairs(ids) do
  local lease = ARGV[3 * i]
  if lease ~= last_lease then
    local at = now + whole(lease)
    demand(at > now and at < MAX_EXACT, 'BADARG a lease is out of bounds')
    last_lease, deadline = lease, digits(at)
  end
  reply[i] = held[i] and 'extended' or 'lost'
  if held[i] then pair(members, deadline, id) end
end
if #members > 0 then call('ZADD', PENDING, 'XX', 'GT', unpack(members)) end
return reply
