-- FLAGS    allow-oom
-- repair: mend what is wrong with n ids, or with the queue as a whole, by what is true now.
--
-- USES     READY SCHEDULED PENDING DEAD MESSAGES ATTEMPTS KEYED BELL ALARM META
-- ARGV     n times, 0..8: id or =KEY; none = the queue as a whole
-- RETURNS  n times: what it was about, what was wrong with it; as check tells it, and mended
-- COST     O(n * ready), n <= 8: no list can say quickly whether it holds an id
-- WHY      nothing that check found is believed: what has become sound since is left alone
local size, now, subjects = open(), clock(), every(1, 1)
demand(#subjects <= 8, 'BADARG more than 8 ids')
local text, reply, back, flows = digits(now), {}, false, false

local function mend_key(field)
  local key = string.sub(field, 2)
  local damage, id, own = key_damage(key)
  if not damage then return end
  pair(reply, field, damage)
  if damage == 'crossed_key' and not own then
    call('HSET', KEYED, id, key)
  else
    call('HDEL', KEYED, field)
  end
end

-- A lease may live, so pending stays before ready, ready before scheduled, scheduled before dead.
local function keep_one(id, it)
  if it.at.pending then
    if it.listed > 0 then call('LREM', READY, 0, id) end
    remove(SCHEDULED, { id })
    remove(DEAD, { id })
  elseif it.listed > 0 then
    if it.listed > 1 then call('LREM', READY, 1 - it.listed, id) end
    remove(SCHEDULED, { id })
    remove(DEAD, { id })
  else
    remove(DEAD, { id })
  end
end

local SETS = { scheduled = SCHEDULED, pending = PENDING, dead = DEAD }
local mend = {
  ghost = function(id, it)
    if it.listed > 0 then call('LREM', READY, 0, id) end
    for name, set in pairs(SETS) do
      if it.at[name] then remove(set, { id }) end
    end
    count('ghosts', 1)
  end,
  orphan = function(id)
    call('RPUSH', READY, id)
    back = true
  end,
  twice = keep_one,
  bad_time = function(id, it)
    for name, set in pairs(SETS) do
      if it.at[name] and not exact(it.at[name]) then call('ZADD', set, 'XX', text, id) end
    end
    flows = true
  end,
  stray_line = function(id) call('HDEL', ATTEMPTS, id) end,
  -- Higher than any count of deliveries, the clock fences every receipt that was handed out before.
  bad_line = function(id)
    local max = max_of(call('HMGET', MESSAGES, id)[1])
    call('HSET', ATTEMPTS, id, line_of(now, 0, max))
  end,
  stale_key = function(id) call('HDEL', KEYED, id) end,
  crossed_key = function(id, it)
    local damage, owner, own = key_damage(it.key)
    if owner and damage ~= 'stale_key' and (not own or own == it.key) then
      call('HDEL', KEYED, id)
    else
      call('HSET', KEYED, '=' .. it.key, id)
    end
  end,
  lost_bell = function() ring_bell(size) end,
  tokens = function(name) call('LTRIM', name == 'bell' and BELL or ALARM, 0, 0) end,
  bad_counter = function(name) call('HDEL', META, name) end,
  counters = function()
    local kept, missing = ledger(size)
    if missing > 0 then
      call('HSET', META, 'vanished', digits(kept.vanished + missing))
    else
      call('HSET', META, 'pushed', digits(kept.pushed - missing))
    end
  end,
}

for _, subject in ipairs(subjects) do
  if string.sub(subject, 1, 1) == '=' then
    mend_key(subject)
  else
    local it = examine(subject)
    for _, damage in ipairs(it.damage) do
      mend[damage](subject, it)
      pair(reply, subject, damage)
    end
  end
end
if back then ring_bell(size) end
if flows and size.alarm == 0 then call('RPUSH', ALARM, '1') end
if #subjects > 0 then return reply end

local found = ailments(size)
for i = 1, #found, 2 do mend[found[i + 1]](found[i]) end
return found
