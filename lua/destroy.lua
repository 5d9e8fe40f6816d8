-- FLAGS    allow-oom
-- destroy: remove a whole queue; every holder's receipt is then lost.
--
-- USES     READY SCHEDULED PENDING DEAD MESSAGES ATTEMPTS KEYED BELL ALARM META
-- ARGV     none
-- RETURNS  how many messages went
-- COST     O(1) here: UNLINK hands the memory to the server's background thread
local size = open()
call('UNLINK', unpack(KEYS))
return size.messages
