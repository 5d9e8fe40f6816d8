-- FLAGS    none
-- push: put n new messages into ready, or into scheduled when they are due later.
--
-- USES     READY SCHEDULED PENDING DEAD MESSAGES KEYED BELL ALARM META
-- ARGV     the routing that the items came by, or nothing: a queue that was never partitioned
--          then n times, 1..1000 items:
--          id      ULID, made by the client
--          record  MAX, header and payload, see docs/protocol.md
--          key     deduplication key, or empty
--          due     delay in ms, or @ and the absolute ms
-- RETURNS  n times: ready | scheduled | {duplicate, id of the first, its state}
--          | {full, max_ready or max_bytes, the cap} | {moved, the routing that holds now}: nothing
--          of this item was written
-- COST     O(n log scheduled), n <= 1000; the records of duplicates are read, and under max_bytes
--          500 more, to which Redis 7.0 walks through the empty buckets of a hash that is resized
-- WHY      a repeated push finds its own id and changes nothing;
--          calls carry items of many callers, so a cap refuses items, never the call
local SAMPLES, skip = 500, #ARGV % 4
local routing, ids = skip == 1 and ARGV[1] or '', every(4, 1 + skip)
demand(skip <= 1 and #ids > 0, 'BADARG nothing to push')
demand(skip == 0 or epoch(routing) > 0 and #routing <= 256, 'BADARG this is no routing')
local size, now = open(), clock()
local outdated = epoch(routing) < epoch(size.routing)

local dues, named = {}, {}
for i = 1, #ids do
  local key, due = ARGV[skip + 4 * i - 1], ARGV[skip + 4 * i]
  local at = string.match(due, '^@(%d+)$')
  dues[i] = at and whole(at) or now + whole(due)
  demand(ids[i] ~= '' and dues[i] < MAX_EXACT, 'BADARG an id is empty or a due time too large')
  if key ~= '' then named[#named + 1] = '=' .. key end
end

local known = call('HMGET', MESSAGES, unpack(ids))
local owner, first_of, stale = {}, {}, {}
if #named > 0 then
  for i, id in ipairs(call('HMGET', KEYED, unpack(named))) do
    if id and call('HEXISTS', MESSAGES, id) == 1 then
      owner[named[i]] = id
    elseif id then
      stale[#stale + 1] = id
    end
  end
end

local max_ready, max_bytes = total(size.max_ready), total(size.max_bytes)
local room = max_ready > 0 and max_ready - size.ready or math.huge
local bytes = math.huge
if max_bytes > 0 then
  bytes = max_bytes - (call('MEMORY', 'USAGE', MESSAGES, 'SAMPLES', SAMPLES) or 0)
end

local records, ready, scheduled, keyed, reply, again = {}, {}, {}, {}, {}, {}
local earliest, last_at, last_text = math.huge, nil, nil
for i, id in ipairs(ids) do
  local record, key, due_now = ARGV[skip + 4 * i - 2], ARGV[skip + 4 * i - 1], dues[i] <= now
  local first = (known[i] or first_of[id]) and id or not outdated and owner['=' .. key]
  if first then
    again[#again + 1] = first
    reply[i] = { 'duplicate', first }
  elseif outdated then
    reply[i] = { 'moved', size.routing }
  elseif due_now and #ready >= room then
    reply[i] = { 'full', 'max_ready', max_ready }
  elseif #id + #record > bytes then
    reply[i] = { 'full', 'max_bytes', max_bytes }
  else
    first_of[id] = true
    bytes = bytes - #id - #record
    pair(records, id, record)
    if key ~= '' then
      owner['=' .. key] = id
      pair(keyed, '=' .. key, id)
      pair(keyed, id, key)
    end
    if due_now then
      ready[#ready + 1] = id
      reply[i] = 'ready'
    else
      if dues[i] ~= last_at then last_at, last_text = dues[i], digits(dues[i]) end
      pair(scheduled, last_text, id)
      earliest = math.min(earliest, dues[i])
      reply[i] = 'scheduled'
    end
  end
end

if #records > 0 then
  call('HSET', MESSAGES, unpack(records))
  if #stale > 0 then call('HDEL', KEYED, unpack(stale)) end
  if #keyed > 0 then call('HSET', KEYED, unpack(keyed)) end
  if not size.layout then call('HSET', META, 'layout', LAYOUT) end
  count('pushed', #records / 2)
  add(SCHEDULED, scheduled)
  if #scheduled > 0 then ring_alarm(size, SCHEDULED, earliest, now) end
  if #ready > 0 then
    call('RPUSH', READY, unpack(ready))
    ring_bell(size)
  end
end
adopt(routing, size)

if #again > 0 then
  local states, next_state = places(again), 0
  for i = 1, #ids do
    if reply[i][1] == 'duplicate' then
      next_state = next_state + 1
      reply[i][3] = states[next_state] or 'ready'
    end
  end
end
return reply
