-- FLAGS    allow-oom
-- steer: swap the text of the queue's redrive task, and redrive dead letters in the same change.
--
-- USES     READY DEAD ATTEMPTS BELL META
-- ARGV     1 expected  the text as the caller knows it; '' = there is no task
--          2 text      the new text, up to 32768 bytes; '' = no task any more
--          3 limit     messages, 0..1000, when no ids follow
--          4 before    absolute ms: only what died up to then
--          then n times, 0..1000: id; none = the oldest `limit`
-- RETURNS  {steered | lost, ms now, redriven, ever redriven by tasks, dead letters left that died
--          up to `before`, '' or, when lost, the text as it is}
-- COST     O(n log dead), n <= 1000
-- WHY      whoever does not know the task as it is moves nothing: a driver that was paused,
--          cancelled or replaced is fenced off, and what it moved is counted by the server
local expected, text, limit, before = ARGV[1], ARGV[2], whole(ARGV[3]), digits(whole(ARGV[4]))
demand(#text <= 32768, 'BADARG the text is too long')
demand(limit <= MAX_ITEMS, 'BADARG the limit is out of bounds')
local size, now, ids = open(), clock(), dead_letters(5, limit, before)

local known = call('HGET', META, 'redrive_task') or ''
local word, moved, told = 'lost', 0, known
if known == expected then
  word, moved, told = 'steered', #ids, ''
  bring_back(ids, size)
  count('driven', moved)
  if text == '' then
    call('HDEL', META, 'redrive_task')
  elseif text ~= known then
    call('HSET', META, 'redrive_task', text)
  end
end
local driven, left = total(call('HGET', META, 'driven')), call('ZCOUNT', DEAD, '-inf', before)
return { word, now, moved, driven, left, told }
