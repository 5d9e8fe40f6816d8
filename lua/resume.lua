-- FLAGS    allow-oom
-- resume: hand out messages again, and wake a worker for those that wait.
--
-- USES     BELL META
-- ARGV     none
-- RETURNS  resumed
-- COST     O(1)
local size = open()
call('HDEL', META, 'paused')
size.paused = false
if size.ready > 0 then ring_bell(size) end
return 'resumed'
