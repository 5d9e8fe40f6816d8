-- FLAGS    no-writes
-- counts: the four counts, the lifetime counters and the heads, in one consistent picture.
--
-- USES     READY SCHEDULED PENDING DEAD META
-- ARGV     none
-- RETURNS  flat pairs of name and whole number; `ready_head` is an id or ''; a head that is not
--          there has the time 0
-- COST     O(1)
local size, now = open(), clock()
local counters, reply = ledger(size), {}
for _, name in ipairs(COUNTERS) do pair(reply, name, counters[name]) end
for _, name in ipairs({ 'ready', 'scheduled', 'pending', 'dead', 'messages' }) do
  pair(reply, name, size[name])
end
local function head(set)
  local at = tonumber(call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]) or 0
  return math.max(0, math.min(at, MAX_EXACT))
end
pair(reply, 'now', now)
pair(reply, 'paused', size.paused and 1 or 0)
pair(reply, 'max_ready', total(size.max_ready))
pair(reply, 'max_bytes', total(size.max_bytes))
pair(reply, 'next_due', head(SCHEDULED))
pair(reply, 'next_deadline', head(PENDING))
pair(reply, 'oldest_dead', head(DEAD))
pair(reply, 'ready_head', call('LINDEX', READY, 0) or '')
return reply
