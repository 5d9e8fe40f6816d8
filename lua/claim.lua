-- FLAGS    allow-oom
-- claim: hand out the oldest ready messages under a lease.
--
-- USES     READY PENDING MESSAGES ATTEMPTS KEYED BELL ALARM META
-- ARGV     1 limit  messages, 0..1000; 0 = rings the bell while something is ready
--          2 bytes  of records in the reply; one message always fits
--          3 lease  ms, > 0
-- RETURNS  {more | empty | paused, deadline ms, then n times: id, record, attempt line or ''};
--          empty: none is left in ready
-- COST     O(n log pending), n <= 1000; of records one is read, then up to 16 at a time: as many as
--          fit what is left of the budget if each is as long as the longest so far
local limit, bytes, lease = whole(ARGV[1]), whole(ARGV[2]), whole(ARGV[3])
demand(limit <= MAX_ITEMS and lease > 0, 'BADARG limit or lease is out of bounds')
local size, now = open(), clock()
demand(now + lease < MAX_EXACT, 'BADARG the lease is too long')
local deadline = digits(now + lease)
if size.paused then return { 'paused', deadline } end

local ids = limit > 0 and call('LRANGE', READY, 0, limit - 1) or {}
local reply, members, seen, ghosts = { 'empty', deadline }, {}, {}, {}
local taken, used, full = 0, 0, false
local first, page_size, longest = 1, 1, 1
while first <= #ids and not full do
  local page = { unpack(ids, first, math.min(first + page_size - 1, #ids)) }
  local records, lines = call('HMGET', MESSAGES, unpack(page)), lines_of(page, size)
  for i, id in ipairs(page) do
    local record = records[i]
    full = record and used > 0 and used + #record > bytes
    if full then break end
    taken = taken + 1
    if not record then
      ghosts[#ghosts + 1] = id
    elseif not seen[id] then
      seen[id] = true
      used, longest = used + #record, math.max(longest, #record)
      pair(members, deadline, id)
      pair(reply, id, record)
      reply[#reply + 1] = lines[i] or ''
    end
  end
  first = first + #page
  page_size = math.max(1, math.min(16, math.floor((bytes - used) / longest)))
end

local left = size.ready - taken
if left > 0 then reply[1] = 'more' end
if taken > 0 then call('LTRIM', READY, taken, -1) end
count('ghosts', taken - #members / 2)
if #ghosts > 0 then forget(ghosts, size) end
add(PENDING, members)
if #members > 0 then ring_alarm(size, PENDING, now + lease, now) end
if left > 0 then ring_bell(size) elseif size.bell > 0 then call('DEL', BELL) end
return reply
