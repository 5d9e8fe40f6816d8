-- FLAGS    no-writes
-- find: where some messages are, and what they hold, by id.
--
-- USES     SCHEDULED PENDING DEAD MESSAGES ATTEMPTS META
-- ARGV     n times, 0..16: id
-- RETURNS  n times: {state, ms or '', record or '', line or ''};
--          state: ready | scheduled | pending | dead | missing
-- COST     O(n), n <= 16: a page of the largest records stays a bounded reply
local size, ids = open(), every(1, 1)
demand(#ids <= 16, 'BADARG more than 16 ids')
if #ids == 0 then return {} end

local found, scheduled, pending, dead = places(ids)
local records, lines, reply = call('HMGET', MESSAGES, unpack(ids)), lines_of(ids, size), {}
for i = 1, #ids do
  local state = found[i] or (records[i] and 'ready') or 'missing'
  local at = scheduled[i] or pending[i] or dead[i] or ''
  reply[i] = { state, at, records[i] or '', lines[i] or '' }
end
return reply
