-- FLAGS    allow-oom
-- claim: hand out the oldest ready messages under a lease.
--
-- USES     READY PENDING MESSAGES ATTEMPTS KEYED BELL ALARM META
-- ARGV     1 limit  messages, 0..1000; 0 = rings the bell while something is ready
--          2 bytes  of records in the reply; one message always fits
--          3 lease  ms, > 0
-- RETURNS  {more | empty | paused, deadline ms, then n times: id, record, attempt line or ''};
--          empty: none is left in ready
-- COST     O(n log pending), n <= 1000; records are read 16 at a time against the budget
local limit, bytes, lease = whole(ARGV[1]), whole(ARGV[2]), whole(ARGV[3])
demand(limit <= MAX_ITEMS and lease > 0, 'BADARG limit or lease is out of bounds')
local size, now = open(), clock()
demand(now + lease < MAX_EXACT, 'BADARG the lease is too long')
local deadline = digits(now + lease)
if size.paused then return { 'paused', deadline } end

local ids = limit > 0 and call('LRANGE', READY, 0, limit - 1) or {}
local reply, members, seen, ghosts = { 'empty', deadline }, {}, {}, {}
local taken, used, full = 0, 0, false
for first = 1, #ids, 16 do
  if full then break end
  local page = { unpack(ids, first, math.min(first + 15, #ids)) }
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
      used = used + #record
      pair(members, deadline, id)
      pair(reply, id, record)
      reply[#reply + 1] = lines[i] or ''
    end
  end
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
