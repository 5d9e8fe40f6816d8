-- FLAGS    allow-oom
-- purge: remove dead letters for good.
--
-- USES     DEAD MESSAGES ATTEMPTS KEYED META
-- ARGV     1 limit   messages, 1..1000, when no ids follow
--          2 before  absolute ms: only what died up to then
--          then n times, 0..1000: id; none = the oldest `limit`
-- RETURNS  {purged, dead letters left that died up to `before`}
-- COST     O(n log dead), n <= 1000
local limit, before = whole(ARGV[1]), digits(whole(ARGV[2]))
demand(limit > 0 and limit <= MAX_ITEMS, 'BADARG the limit is out of bounds')
local size, ids = open(), dead_letters(3, limit, before)

if #ids > 0 then
  remove(DEAD, ids)
  local records = forget(ids, size)
  count('purged', records)
  count('ghosts', #ids - records)
end
return { #ids, call('ZCOUNT', DEAD, '-inf', before) }
