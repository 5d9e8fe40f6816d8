-- FLAGS    allow-oom
-- limit: set the caps from which on pushes are refused.
--
-- USES     META
-- ARGV     1 max_ready  messages in ready; 0 = no cap, '' = as it is
--          2 max_bytes  memory of the records; 0 = no cap, '' = as it is
-- RETURNS  {max_ready, max_bytes} as they hold now; 0 = no cap
-- COST     O(1)
local caps, wanted = { 'max_ready', 'max_bytes' }, {}
demand(#ARGV == 2, 'BADARG two caps are wanted')
for i = 1, 2 do wanted[i] = ARGV[i] ~= '' and whole(ARGV[i]) end
open()
for i, cap in ipairs(caps) do
  if wanted[i] == 0 then
    call('HDEL', META, cap)
  elseif wanted[i] then
    call('HSET', META, cap, digits(wanted[i]))
  end
end
local held = call('HMGET', META, unpack(caps))
return { total(held[1]), total(held[2]) }
