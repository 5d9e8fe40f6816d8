-- prelude: the ten keys, the clock and the rules that every script shares.
local READY, SCHEDULED, PENDING, DEAD, MESSAGES = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local ATTEMPTS, KEYED, BELL, ALARM, META = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local LAYOUT, PARTITIONED = '1', '2'
local MAX_ITEMS, MAX_IDLE_MS, MAX_EXACT = 1000, 5000, 2 ^ 53
local MAX_PARTITIONS, MAX_EPOCH = 64, MAX_EXACT - 2
local call = redis.call

local function demand(holds, fault)
  if not holds then error({ err = fault }) end
end

-- What is stored or sent as a whole number, as long as a Lua number holds it exactly.
local function exact(text)
  local number = tonumber(string.match(text or '', '^%d+$'))
  return number and number < MAX_EXACT and number
end

local function whole(text)
  local number = exact(text)
  demand(number, 'BADARG a whole number is missing or too large')
  return number
end

local function digits(number)
  return string.format('%d', number)
end

local function clock()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000), time[2] % 1000
end

local FOREIGN = 'LAYOUT the queue has another layout'

local function knows(layout)
  return not layout or layout == LAYOUT or layout == PARTITIONED
end

-- A WRONGTYPE after the first write would lose messages: every key is read by its type first.
local function open()
  local meta = call('HMGET', META, 'layout', 'paused', 'max_ready', 'max_bytes', 'routing')
  demand(knows(meta[1]), FOREIGN)
  return {
    layout = meta[1], paused = meta[2], max_ready = meta[3], max_bytes = meta[4],
    routing = meta[5],
    ready = call('LLEN', READY), scheduled = call('ZCARD', SCHEDULED),
    pending = call('ZCARD', PENDING), dead = call('ZCARD', DEAD),
    messages = call('HLEN', MESSAGES), attempts = call('HLEN', ATTEMPTS),
    keyed = call('HLEN', KEYED), bell = call('LLEN', BELL), alarm = call('LLEN', ALARM),
  }
end

-- A damaged counter reads as 0.
local function total(text)
  return exact(text) or 0
end

-- HINCRBY would raise over a damaged counter, and that in the middle of the writes.
local function count(counter, by)
  if by > 0 then call('HSET', META, counter, digits(total(call('HGET', META, counter)) + by)) end
end

-- A routing is EPOCH COUNT EARLIER...: the one with the highest epoch holds. A damaged one is none,
-- and so is one that no library could read.
local function epoch(routing)
  local words = {}
  for word in string.gmatch(routing or '', '%S+') do words[#words + 1] = word end
  if #words < 2 or table.concat(words, ' ') ~= routing then return 0 end
  for i = 2, #words do
    local partitions = exact(words[i]) or 0
    if partitions < 1 or partitions > MAX_PARTITIONS then return 0 end
  end
  local number = exact(words[1]) or 0
  return number <= MAX_EPOCH and number or 0
end

-- Clients of the first layout know one partition only: from now on they leave the queue alone.
local function adopt(routing, size)
  if epoch(routing) <= epoch(size.routing) then return end
  call('HSET', META, 'routing', routing, 'layout', PARTITIONED)
  size.routing = routing
end

local function every(stride, first)
  local picked = {}
  for i = first, #ARGV, stride do picked[#picked + 1] = ARGV[i] end
  local exact = (#ARGV - first + 1) % stride == 0
  demand(exact and #picked <= MAX_ITEMS, 'BADARG items are cut short or above 1000')
  return picked
end

-- An unreadable line reads as the first delivery.
local function numbers(line)
  local deliveries, failures, max = string.match(line or '', '^(%d+) (%d+) (%d+)')
  deliveries, failures, max = tonumber(deliveries), tonumber(failures), tonumber(max)
  if not max or deliveries + failures + max >= MAX_EXACT then return 0, 0, nil end
  return deliveries, failures, max
end

local function line_of(deliveries, failures, max, history)
  local line = digits(deliveries) .. ' ' .. digits(failures) .. ' ' .. digits(max)
  return history and line .. ' ' .. history or line
end

local function history_of(line)
  return string.match(line or '', '^%d+ %d+ %d+ (.+)$')
end

-- MAX of a record; a damaged one reads as 0, and 4294967295 is the most that clients hold.
local function max_of(record)
  return math.min(tonumber(string.match(record or '', '^(%d+)\n')) or 0, 4294967295)
end

local function spent(failures, max)
  return max > 0 and failures >= max
end

local function lines_of(ids, size)
  if size.attempts == 0 or #ids == 0 then return {} end
  return call('HMGET', ATTEMPTS, unpack(ids))
end

-- Which receipts (id, attempt) hold: pending, of this attempt, the first of its id in the batch.
local function receipts(stride, first, size)
  local ids = every(stride, first)
  if #ids == 0 then return ids, {}, {} end
  local deadlines, lines = call('ZMSCORE', PENDING, unpack(ids)), lines_of(ids, size)
  local held, kept, seen = {}, {}, {}
  for i, id in ipairs(ids) do
    local attempt = ARGV[first + (i - 1) * stride + 1]
    held[i] = deadlines[i] and not seen[id] and attempt == digits(numbers(lines[i]) + 1)
    if held[i] then
      seen[id] = true
      kept[#kept + 1] = id
    end
  end
  return ids, held, kept
end

-- The state that each id is in by the ZSETs; false where none has it: ready, if it has a record.
local function places(ids)
  local scheduled = call('ZMSCORE', SCHEDULED, unpack(ids))
  local pending, dead = call('ZMSCORE', PENDING, unpack(ids)), call('ZMSCORE', DEAD, unpack(ids))
  local found = {}
  for i = 1, #ids do
    found[i] = scheduled[i] and 'scheduled' or pending[i] and 'pending' or dead[i] and 'dead'
  end
  return found, scheduled, pending, dead
end

-- Every record goes with its attempt line and its deduplication key, so that none can stick.
-- Returns how many records there were: ids without one are ghosts.
local function forget(ids, size)
  local records = call('HDEL', MESSAGES, unpack(ids))
  if size.attempts > 0 then call('HDEL', ATTEMPTS, unpack(ids)) end
  if size.keyed == 0 then return records end
  local fields = {}
  for i, key in ipairs(call('HMGET', KEYED, unpack(ids))) do
    if key then fields[#fields + 1], fields[#fields + 2] = ids[i], '=' .. key end
  end
  if #fields > 0 then call('HDEL', KEYED, unpack(fields)) end
  return records
end

-- A list that is built by pairs: score and id for ZADD, id and value for HSET.
local function pair(list, first, second)
  list[#list + 1], list[#list + 2] = first, second
end

local function add(set, members)
  if #members > 0 then call('ZADD', set, unpack(members)) end
end

local function remove(set, ids)
  if #ids > 0 then call('ZREM', set, unpack(ids)) end
end

-- The dead letters that are named from ARGV[first] on, or else the oldest that died up to `before`.
local function dead_letters(first, limit, before)
  local named = every(1, first)
  if #named == 0 then return call('ZRANGE', DEAD, '-inf', before, 'BYSCORE', 'LIMIT', 0, limit) end
  local ids, seen = {}, {}
  for i, died in ipairs(call('ZMSCORE', DEAD, unpack(named))) do
    if died and tonumber(died) <= tonumber(before) and not seen[named[i]] then
      seen[named[i]] = true
      ids[#ids + 1] = named[i]
    end
  end
  return ids
end

local function is_silent(size)
  return size.bell == 0 and not size.paused
end

local function ring_bell(size)
  if is_silent(size) then call('RPUSH', BELL, '1') end
end

-- Dead letters go to the tail of ready with their failures set to 0; the attempt stays.
local function bring_back(ids, size)
  if #ids == 0 then return end
  local lines, rewritten = lines_of(ids, size), {}
  for i, id in ipairs(ids) do
    local deliveries, _, max = numbers(lines[i])
    if max then pair(rewritten, id, line_of(deliveries, 0, max, history_of(lines[i]))) end
  end
  remove(DEAD, ids)
  if #rewritten > 0 then call('HSET', ATTEMPTS, unpack(rewritten)) end
  call('RPUSH', READY, unpack(ids))
  ring_bell(size)
  count('redriven', #ids)
end

-- Rings when `at` is now the earliest of its set; later than MAX_IDLE_MS every poller looks anyway.
local function ring_alarm(size, set, at, now)
  if size.alarm > 0 or at - now >= MAX_IDLE_MS then return end
  if tonumber(call('ZRANGE', set, 0, 0, 'WITHSCORES')[2]) >= at then call('RPUSH', ALARM, '1') end
end

local COUNTERS = {
  'pushed', 'acked', 'retried', 'released', 'buried', 'promoted', 'reclaimed', 'died',
  'cancelled', 'redriven', 'purged', 'trimmed', 'ghosts', 'vanished',
}

-- The counters by name, and what was pushed beyond what is live or left by a counted way.
local function ledger(size)
  local told, kept = call('HMGET', META, unpack(COUNTERS)), {}
  for i, name in ipairs(COUNTERS) do kept[name] = total(told[i]) end
  local gone = kept.acked + kept.cancelled + kept.purged + kept.trimmed + kept.vanished
  return kept, kept.pushed - size.messages - gone, told
end

-- What is wrong with the entry `=KEY`, the id that it names, and the key that this id names.
local function key_damage(key)
  local id = call('HMGET', KEYED, '=' .. key)[1]
  if not id then return false end
  if call('HEXISTS', MESSAGES, id) == 0 then return 'stale_key', id end
  local own = call('HMGET', KEYED, id)[1]
  return own ~= key and 'crossed_key', id, own
end

-- What is known of one id, and all that is wrong with it: check tells it, repair mends it.
-- `near` leaves out the walk through ready where the rest says that the id is elsewhere.
local function examine(id, near)
  local _, scheduled, pending, dead = places({ id })
  local at = { scheduled = scheduled[1], pending = pending[1], dead = dead[1] }
  local it, homes, timed = { at = at, damage = {}, listed = 0 }, 0, true
  it.record = call('HEXISTS', MESSAGES, id) == 1
  for _, score in pairs(at) do
    if score then homes, timed = homes + 1, timed and exact(score) end
  end
  if not near or it.record and homes == 0 then
    it.listed = #call('LPOS', READY, id, 'COUNT', 0)
    homes = homes + it.listed
  end
  it.line, it.key = call('HMGET', ATTEMPTS, id)[1], call('HMGET', KEYED, id)[1]
  local tell = function(damage) it.damage[#it.damage + 1] = damage end
  if not it.record then
    if homes > 0 then tell('ghost') end
    if it.line then tell('stray_line') end
    if it.key then tell('stale_key') end
    return it
  end
  if homes ~= 1 then tell(homes == 0 and 'orphan' or 'twice') end
  if not timed then tell('bad_time') end
  if it.line and not select(3, numbers(it.line)) then tell('bad_line') end
  if it.key and call('HMGET', KEYED, '=' .. it.key)[1] ~= id then tell('crossed_key') end
  return it
end

-- What is wrong with the queue as a whole, as pairs of what it is about and what it is.
local function ailments(size)
  local found, _, missing, told = {}, ledger(size)
  if size.ready > 0 and is_silent(size) then
    pair(found, call('LINDEX', READY, 0), 'lost_bell')
  end
  if size.bell > 1 then pair(found, 'bell', 'tokens') end
  if size.alarm > 1 then pair(found, 'alarm', 'tokens') end
  for i, name in ipairs(COUNTERS) do
    if told[i] and not exact(told[i]) then pair(found, name, 'bad_counter') end
  end
  if missing ~= 0 then pair(found, 'pushed', 'counters') end
  return found
end
