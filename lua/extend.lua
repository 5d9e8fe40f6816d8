-- FLAGS    allow-oom
-- extend: move the deadlines of n leases later; the receipts stay as they are.
--
-- USES     PENDING META
-- ARGV     1 lease  ms from now, > 0; an earlier deadline is never set
--          then n times, 0..1000 receipts: id, attempt
-- RETURNS  {deadline ms, then n times: extended | lost}
-- COST     O(n log pending), n <= 1000
local lease = whole(ARGV[1])
local size, now = open(), clock()
demand(lease > 0 and now + lease < MAX_EXACT, 'BADARG the lease is out of bounds')
local deadline = digits(now + lease)
local ids, held, kept = receipts(2, 2, size)

local members, reply = {}, { deadline }
for _, id in ipairs(kept) do pair(members, deadline, id) end
if #kept > 0 then call('ZADD', PENDING, 'XX', 'GT', unpack(members)) end
for i = 1, #ids do reply[i + 1] = held[i] and 'extended' or 'lost' end
return reply
