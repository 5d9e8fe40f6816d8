-- FLAGS    allow-oom
-- redeliver: bring back what is due (promoted) and what nobody acknowledged (reclaimed).
--
-- USES     READY SCHEDULED PENDING DEAD MESSAGES ATTEMPTS BELL META
-- ARGV     1 limit   messages of each kind, 1..1000
--          2 poller  name of the caller: at most three watch one deadline; '' = watches nothing
-- RETURNS  {promoted, reclaimed, died, ghosts, 1 if more is due, us until the next look}
-- COST     O(n log n), n <= 2 * limit; of records one is read, then up to 16 at a time: as many as
--          fit what is left of 2 MiB if each is as long as the longest so far, and only for
--          messages that nobody failed before
local limit, poller = whole(ARGV[1]), ARGV[2]
demand(limit > 0 and limit <= MAX_ITEMS, 'BADARG the limit is out of bounds')
local named = string.match(poller or ' ', '^[%w_-]*$') and #poller <= 32
demand(named, 'BADARG the poller is misnamed')
local size, now, micros = open(), clock()
local text = digits(now)

local due = call('ZRANGE', SCHEDULED, '-inf', text, 'BYSCORE', 'LIMIT', 0, limit)
local overdue = call('ZRANGE', PENDING, '-inf', text, 'BYSCORE', 'LIMIT', 0, limit)
local lines = lines_of(overdue, size)

local maxima, ghost, budget, unread, done = {}, {}, 2 * 1024 * 1024, {}, #overdue
for i = 1, #overdue do
  local _, _, max = numbers(lines[i])
  maxima[i] = max
  if not max then unread[#unread + 1] = i end
end
local first, page_size, longest = 1, 1, 1
while first <= #unread do
  if budget <= 0 then
    done = unread[first] - 1
    break
  end
  local page = {}
  for i = first, math.min(first + page_size - 1, #unread) do
    page[#page + 1] = overdue[unread[i]]
  end
  for i, record in ipairs(call('HMGET', MESSAGES, unpack(page))) do
    local at = unread[first + i - 1]
    ghost[at] = not record
    maxima[at] = max_of(record)
    local length = #(record or '')
    budget, longest = budget - length, math.max(longest, length)
  end
  first = first + #page
  page_size = math.max(1, math.min(16, math.floor(budget / longest)))
end

local back, dead, rewritten, left = {}, {}, {}, {}
for i = 1, done do
  local id, deliveries, failures = overdue[i], numbers(lines[i])
  left[i] = id
  if not ghost[i] then
    failures = failures + 1
    pair(rewritten, id, line_of(deliveries + 1, failures, maxima[i], history_of(lines[i])))
    if spent(failures, maxima[i]) then
      pair(dead, text, id)
    else
      back[#back + 1] = id
    end
  end
end

remove(SCHEDULED, due)
if #due > 0 then call('RPUSH', READY, unpack(due)) end
remove(PENDING, left)
if #rewritten > 0 then call('HSET', ATTEMPTS, unpack(rewritten)) end
if #back > 0 then call('RPUSH', READY, unpack(back)) end
add(DEAD, dead)
local died = #dead / 2
local ghosts = #left - #back - died
count('promoted', #due)
count('reclaimed', #back)
count('died', died)
count('ghosts', ghosts)

local function head(set)
  return tonumber(call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]) or math.huge
end
local is_first = false

-- Three watchers survive the death of two; more would only wake the server for nothing.
local function watches(at)
  if poller == '' then return true end
  local watched, watchers = digits(at), {}
  local watch = call('HGET', META, 'watch') or ''
  if string.match(watch, '^%d+') == watched then
    for name in string.gmatch(watch, ' ([%w_-]+)') do watchers[#watchers + 1] = name end
  end
  for _, name in ipairs(watchers) do
    if name == poller then return true end
  end
  if #watchers >= 3 then return false end
  is_first = #watchers == 0
  watchers[#watchers + 1] = poller
  call('HSET', META, 'watch', watched .. ' ' .. table.concat(watchers, ' '))
  return true
end

local next_at = math.min(head(SCHEDULED), head(PENDING))
local wait, more = next_at - now, next_at <= now
local watching = not more and wait < MAX_IDLE_MS and watches(next_at)
-- The second and third watcher come while the first one's news is on its way: they stay silent.
-- The first one, and whoever looks without a deadline or a name, mend a bell whose token was lost.
local news = #due + #left > 0 or not watching or is_first or poller == ''
if news and size.ready + #due + #back > 0 then ring_bell(size) end
local micros_left = more and 0 or watching and wait * 1000 - micros or MAX_IDLE_MS * 1000
return { #due, #back, died, ghosts, more and 1 or 0, micros_left }
