-- FLAGS    allow-oom
-- trim: keep the dead letters within their retention, oldest out first.
--
-- USES     DEAD MESSAGES ATTEMPTS KEYED META
-- ARGV     1 limit    messages, 1..1000
--          2 age      ms: older ones go
--          3 entries  the newest that many stay
-- RETURNS  {trimmed, 1 if more is beyond the retention}
-- COST     O(n log dead), n <= 1000
local limit, age, entries = whole(ARGV[1]), whole(ARGV[2]), whole(ARGV[3])
demand(limit > 0 and limit <= MAX_ITEMS, 'BADARG the limit is out of bounds')
local size, now = open(), clock()

local expired = call('ZCOUNT', DEAD, '-inf', digits(math.max(0, now - age)))
local beyond = math.max(expired, size.dead - entries)
if beyond <= 0 then return { 0, 0 } end
local ids = call('ZRANGE', DEAD, 0, math.min(beyond, limit) - 1)
remove(DEAD, ids)
local records = forget(ids, size)
count('trimmed', records)
count('ghosts', #ids - records)
return { #ids, beyond > #ids and 1 or 0 }
