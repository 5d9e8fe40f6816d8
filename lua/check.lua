-- FLAGS    no-writes
-- check: one bounded step of the proof that every message is in exactly one place.
--
-- USES     READY SCHEDULED PENDING DEAD MESSAGES META
-- ARGV     1 place   messages | ready | scheduled | pending | dead | one
--          2 cursor  0 at first, then as returned; for `one` the id
--          3 limit   messages, 1..1000
-- RETURNS  {next cursor or 0, ids seen, then n times: id, finding};
--          messages: unplaced (in no ZSET, so it has to be in ready) | twice
--          ready, scheduled, pending, dead: listed (ready only) | ghost | twice
--          one: gone | placed | ghost | orphan | twice
-- COST     O(limit), copying a page's payloads for `messages`; O(ready) for `one`
local place, cursor, limit = ARGV[1], ARGV[2], whole(ARGV[3])
demand(limit > 0 and limit <= MAX_ITEMS, 'BADARG the limit is out of bounds')
local size, reply = open(), {}

local function homes(ids)
  local _, scheduled, pending, dead = places(ids)
  local homes = {}
  for i = 1, #ids do
    homes[i] = (scheduled[i] and 1 or 0) + (pending[i] and 1 or 0) + (dead[i] and 1 or 0)
  end
  return homes
end

if place == 'one' then
  local record = call('HEXISTS', MESSAGES, cursor) == 1
  local home = homes({ cursor })[1] + #call('LPOS', READY, cursor, 'COUNT', 2)
  local finding = home > 1 and 'twice' or home == 1 and (record and 'placed' or 'ghost')
    or (record and 'orphan' or 'gone')
  return { '0', 1, cursor, finding }
end

local ids, next_cursor, own = {}, '0', 1
if place == 'messages' then
  local page = call('HSCAN', MESSAGES, cursor, 'COUNT', limit)
  next_cursor = page[1]
  for i = 1, #page[2], 2 do ids[#ids + 1] = page[2][i] end
else
  local set = ({ ready = READY, scheduled = SCHEDULED, pending = PENDING, dead = DEAD })[place]
  demand(set, 'BADARG there is no such place')
  local start = whole(cursor)
  ids = call(place == 'ready' and 'LRANGE' or 'ZRANGE', set, start, start + limit - 1)
  if start + #ids < size[place] then next_cursor = digits(start + #ids) end
end
reply = { next_cursor, #ids }
if #ids == 0 then return reply end

local found = homes(ids)
if place == 'ready' then own = 0 end
for i, id in ipairs(ids) do
  if found[i] > own then
    pair(reply, id, 'twice')
  elseif place == 'messages' then
    if found[i] == 0 then pair(reply, id, 'unplaced') end
  elseif call('HEXISTS', MESSAGES, id) == 0 then
    pair(reply, id, 'ghost')
  elseif place == 'ready' then
    pair(reply, id, 'listed')
  end
end
return reply
