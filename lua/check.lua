-- FLAGS    no-writes
-- check: one bounded step of the proof that every message is in exactly one place.
--
-- USES     READY SCHEDULED PENDING DEAD MESSAGES ATTEMPTS KEYED BELL ALARM META
-- ARGV     1 place   messages | ready | scheduled | pending | dead | keyed | attempts, by pages;
--                    queue | types, as a whole; one | near, an id or =KEY alone
--          2 cursor  0 at first, then as returned; for `one` and `near` the id or =KEY
--          3 limit   of a page, 1..1000
-- RETURNS  {next cursor or 0, ids seen, then n times: what it is about, finding};
--          messages: unplaced (in no ZSET, so it has to be in ready) | twice
--          ready: listed | ghost | twice; scheduled, pending, dead: ghost | twice | bad_time
--          keyed: stale_key | crossed_key; attempts: stray_line | bad_line
--          queue: lost_bell | tokens | bad_counter | counters; types: wrong_type
--          one, near: all that is wrong with it, or else placed | gone; also orphan
-- COST     O(limit), copying a page's payloads for `messages`; O(ready) for `one`, and for `near`
--          when a record is in no ZSET
-- WHY      ready is read from its tail, since claims move everything towards the head
local place, cursor, limit = ARGV[1], ARGV[2], whole(ARGV[3])
demand(limit > 0 and limit <= MAX_ITEMS, 'BADARG the limit is out of bounds')

if place == 'types' then
  local reply, words = { '0', 0 }, 'list zset zset zset hash hash hash list list hash '
  local wanted = string.gmatch(words, '%a+')
  for _, key in ipairs(KEYS) do
    local kind, own = call('TYPE', key).ok, wanted()
    if kind ~= 'none' and kind ~= own then pair(reply, key, 'wrong_type') end
    local readable = key == META and kind == own
    demand(not readable or knows(call('HMGET', META, 'layout')[1]), FOREIGN)
  end
  return reply
end

local size = open()
if place == 'queue' then return { '0', 0, unpack(ailments(size)) } end

if place == 'one' or place == 'near' then
  local reply = { '0', 1 }
  if string.sub(cursor, 1, 1) == '=' then
    pair(reply, cursor, key_damage(string.sub(cursor, 2)) or 'gone')
    return reply
  end
  local it = examine(cursor, place == 'near')
  for _, damage in ipairs(it.damage) do pair(reply, cursor, damage) end
  if #it.damage == 0 then pair(reply, cursor, it.record and 'placed' or 'gone') end
  return reply
end

local scans = {
  messages = { 'HSCAN', MESSAGES }, keyed = { 'HSCAN', KEYED }, attempts = { 'HSCAN', ATTEMPTS },
  scheduled = { 'ZSCAN', SCHEDULED }, pending = { 'ZSCAN', PENDING }, dead = { 'ZSCAN', DEAD },
}
local ids, values, next_cursor = {}, {}, '0'
if place == 'ready' then
  local stop = whole(cursor)
  if stop == 0 or stop > size.ready then stop = size.ready end
  local start = math.max(0, stop - limit)
  if stop > 0 then ids = call('LRANGE', READY, start, stop - 1) end
  next_cursor = digits(start)
else
  local scan = scans[place]
  demand(scan, 'BADARG there is no such place')
  local page = call(scan[1], scan[2], cursor, 'COUNT', limit)
  next_cursor = page[1]
  for i = 1, #page[2], 2 do
    ids[#ids + 1] = page[2][i]
    values[#ids] = page[2][i + 1]
  end
end

local function record(id)
  return call('HEXISTS', MESSAGES, id) == 1
end

-- A small key is scanned as a whole, however large the limit of its encoding is.
local found = {}
for first = 1, #ids, MAX_ITEMS do
  local page = { unpack(ids, first, math.min(first + MAX_ITEMS - 1, #ids)) }
  local _, due, held, dead = places(page)
  for i = 1, #page do
    found[first + i - 1] = (due[i] and 1 or 0) + (held[i] and 1 or 0) + (dead[i] and 1 or 0)
  end
end

local function in_state(id, homes, score)
  local own = place == 'ready' and 0 or 1
  if not record(id) then return 'ghost' end
  if homes > own then return 'twice' end
  if own == 0 then return 'listed' end
  return not exact(score) and 'bad_time'
end

local looks = {
  messages = function(_, homes) return homes == 0 and 'unplaced' or homes > 1 and 'twice' end,
  attempts = function(id, _, line)
    return not record(id) and 'stray_line' or not select(3, numbers(line)) and 'bad_line'
  end,
  keyed = function(field, _, value)
    if string.sub(field, 1, 1) == '=' then return key_damage(string.sub(field, 2)) end
    if not record(field) then return 'stale_key' end
    return call('HMGET', KEYED, '=' .. value)[1] ~= field and 'crossed_key'
  end,
}
local look, reply = looks[place] or in_state, { next_cursor, #ids }
for i, id in ipairs(ids) do
  local finding = look(id, found[i], values[i])
  if finding then pair(reply, id, finding) end
end
return reply
