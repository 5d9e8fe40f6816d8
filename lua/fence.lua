-- FLAGS    allow-oom
-- fence: tell a partition how the queue is partitioned, and look up what it holds by name.
--
-- USES     SCHEDULED PENDING DEAD MESSAGES KEYED META
-- ARGV     1 routing  EPOCH COUNT EARLIER..., see docs/protocol.md; '' = only looks
--          then n times, 0..1000: = and a deduplication key, or an id
-- RETURNS  {the routing that holds here now or '', messages, then n times: id or '', state or ''}
-- COST     O(n), n <= 1000
-- WHY      pushes by an earlier routing are refused from now on: what is not found here under a
--          name that belongs elsewhere by now will never be here
local routing, names = ARGV[1], every(1, 2)
local known = routing == '' or epoch(routing) > 0 and #routing <= 256
demand(routing and known, 'BADARG this is no routing')
local size, keyed, ids = open(), {}, {}
adopt(routing, size)

for _, name in ipairs(names) do
  if string.sub(name, 1, 1) == '=' then keyed[#keyed + 1] = name end
end
local owners, next_owner = #keyed > 0 and call('HMGET', KEYED, unpack(keyed)) or {}, 0
for i, name in ipairs(names) do
  ids[i] = name
  if string.sub(name, 1, 1) == '=' then
    next_owner = next_owner + 1
    ids[i] = owners[next_owner] or ''
  end
end

local reply = { size.routing or '', size.messages }
if #ids == 0 then return reply end
local found, records = places(ids), {}
for i, id in ipairs(ids) do
  records[i] = call('HEXISTS', MESSAGES, id) == 1
  pair(reply, records[i] and id or '', records[i] and (found[i] or 'ready') or '')
end
return reply
