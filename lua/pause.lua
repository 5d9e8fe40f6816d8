-- FLAGS    allow-oom
-- pause: hand out nothing until resumed; pushes, acks and redelivery go on.
--
-- USES     META
-- ARGV     none
-- RETURNS  paused
-- COST     O(1)
open()
call('HSET', META, 'paused', '1')
return 'paused'
