-- FLAGS    allow-oom
-- redrive: bring dead letters back to the tail of ready with their failures set to 0.
--
-- USES     READY DEAD ATTEMPTS BELL META
-- ARGV     1 limit   messages, 1..1000, when no ids follow
--          2 before  absolute ms: only what died up to then; a snapshot against chasing one's tail
--          then n times, 0..1000: id; none = the oldest `limit`
-- RETURNS  {redriven, dead letters left that died up to `before`}
-- COST     O(n log dead), n <= 1000
local limit, before = whole(ARGV[1]), digits(whole(ARGV[2]))
demand(limit > 0 and limit <= MAX_ITEMS, 'BADARG the limit is out of bounds')
local size, ids = open(), dead_letters(3, limit, before)
bring_back(ids, size)
return { #ids, call('ZCOUNT', DEAD, '-inf', before) }
