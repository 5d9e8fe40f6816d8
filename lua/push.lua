-- FLAGS    none
-- push: put n new messages into ready, or into scheduled when they are due later.
--
-- USES     READY SCHEDULED PENDING DEAD MESSAGES KEYED BELL ALARM META
-- ARGV     n times, 1..1000 items:
--          id      ULID, made by the client
--          record  MAX, header and payload, see docs/protocol.md
--          key     deduplication key, or empty
--          due     delay in ms, or @ and the absolute ms
-- RETURNS  n times: ready | scheduled | {duplicate, id of the first, its state}
-- COST     O(n log scheduled), n <= 1000
-- WHY      a repeated push finds its own id and changes nothing
local ids = every(4, 1)
demand(#ids > 0, 'BADARG nothing to push')
local size, now = open(), clock()

local dues, named = {}, {}
for i = 1, #ids do
  local key, due = ARGV[4 * i - 1], ARGV[4 * i]
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

local records, ready, scheduled, keyed, reply, again = {}, {}, {}, {}, {}, {}
local earliest, last_at, last_text = math.huge, nil, nil
for i, id in ipairs(ids) do
  local key = ARGV[4 * i - 1]
  local first = (known[i] or first_of[id]) and id or owner['=' .. key]
  if first then
    again[#again + 1] = first
    reply[i] = { 'duplicate', first }
  else
    first_of[id] = true
    pair(records, id, ARGV[4 * i - 2])
    if key ~= '' then
      owner['=' .. key] = id
      pair(keyed, '=' .. key, id)
      pair(keyed, id, key)
    end
    if dues[i] <= now then
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

if #again > 0 then
  local states, next_state = places(again), 0
  for i = 1, #ids do
    if type(reply[i]) == 'table' then
      next_state = next_state + 1
      reply[i][3] = states[next_state] or 'ready'
    end
  end
end
return reply
