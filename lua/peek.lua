-- FLAGS    no-writes
-- peek: one page of one state, in its order, without touching anything.
--
-- USES     READY SCHEDULED PENDING DEAD MESSAGES ATTEMPTS META
-- ARGV     1 state  ready | scheduled | pending | dead
--          2 start  index of the first message, 0 = head
--          3 limit  messages, 1..1000
--          4 bytes  of records in the reply; one message always fits
-- RETURNS  {start of the next page or 0, then n times: id, ms or '', record or null, line or ''};
--          ms: due, retry deadline or time of death; null: a ghost
-- COST     O(log n + limit), O(start + limit) in ready; records are read up to 16 at a time
local state, start, limit, bytes = ARGV[1], whole(ARGV[2]), whole(ARGV[3]), whole(ARGV[4])
demand(limit > 0 and limit <= MAX_ITEMS, 'BADARG the limit is out of bounds')
local set = ({ ready = READY, scheduled = SCHEDULED, pending = PENDING, dead = DEAD })[state]
demand(set, 'BADARG there is no such state')
local size = open()

local ids, times = {}, {}
if state == 'ready' then
  ids = call('LRANGE', READY, start, start + limit - 1)
else
  local scored = call('ZRANGE', set, start, start + limit - 1, 'WITHSCORES')
  for i = 1, #scored, 2 do
    ids[#ids + 1] = scored[i]
    times[#ids] = scored[i + 1]
  end
end

local reply, used, shown = { 0 }, 0, 0
local first, page_size, longest = 1, 1, 1
while first <= #ids and (used < bytes or shown == 0) do
  local page = { unpack(ids, first, math.min(first + page_size - 1, #ids)) }
  local records, lines = call('HMGET', MESSAGES, unpack(page)), lines_of(page, size)
  for i, id in ipairs(page) do
    local record = records[i]
    local length = record and #record or 0
    if used + length > bytes and shown > 0 then
      used = bytes
      break
    end
    used, shown, longest = used + length, shown + 1, math.max(longest, length)
    pair(reply, id, times[first + i - 1] or '')
    pair(reply, record, lines[i] or '')
  end
  first = first + #page
  page_size = math.max(1, math.min(16, math.floor((bytes - used) / longest)))
end
if start + shown < size[state] then reply[1] = start + shown end
return reply
