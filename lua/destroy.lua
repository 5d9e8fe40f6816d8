-- FLAGS    allow-oom
-- destroy: remove a whole queue, damaged or not; every holder's receipt is then lost.
--
-- USES     READY SCHEDULED PENDING DEAD MESSAGES ATTEMPTS KEYED BELL ALARM META
-- ARGV     none
-- RETURNS  how many messages went
-- COST     O(1) here: UNLINK hands the memory to the server's background thread
-- WHY      no key is read by its type first: nothing is left to lose, and damage has to go too
local function is_hash(key)
  return call('TYPE', key).ok == 'hash'
end
demand(not is_hash(META) or knows(call('HGET', META, 'layout')), FOREIGN)
local messages = is_hash(MESSAGES) and call('HLEN', MESSAGES) or 0
call('UNLINK', unpack(KEYS))
return messages
