-- FLAGS    no-writes
-- forecast: how many messages fall due, and how many leases end, up to each of some times to come.
--
-- USES     SCHEDULED PENDING META
-- ARGV     n times, 0..128: ms from now; 0 tells what is due or overdue already
-- RETURNS  {now in ms, then n times: scheduled, pending}, counted from the earliest up to that time
-- COST     O(n log size), n <= 128: two counts for each time, whatever lies between them
local MAX_TIMES = 128
open()
demand(#ARGV <= MAX_TIMES, 'BADARG more than 128 times')
local now = clock()
local times, reply = {}, { now }
for i, ahead in ipairs(ARGV) do times[i] = digits(now + whole(ahead)) end

for _, time in ipairs(times) do
  pair(reply, call('ZCOUNT', SCHEDULED, '-inf', time), call('ZCOUNT', PENDING, '-inf', time))
end
return reply
