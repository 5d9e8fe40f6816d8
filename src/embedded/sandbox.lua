-- The world of a script: what the servers give it, and nothing that reaches out of it.
local call, quiet, sha1hex, log, told = ...
local error, pcall, tostring, xpcall, setmetatable = error, pcall, tostring, xpcall, setmetatable

local function refuse()
  error('Attempt to modify a readonly table', 2)
end

local function readonly(contents)
  return setmetatable({}, { __index = contents, __newindex = refuse, __metatable = false })
end

-- Whoever catches an error gets a table or a text.
local function caught(ok, ...)
  if ok then return ok, ... end
  local fault = ...
  return false, type(fault) == 'userdata' and { err = told(fault).err } or fault
end

local redis = {
  call = call, pcall = quiet, sha1hex = sha1hex, log = log,
  error_reply = function(text) return { err = (string.gsub(text, '^-', '')) } end,
  status_reply = function(text) return { ok = text } end,
  replicate_commands = function() return true end,
  setresp = function(version)
    if version ~= 2 then error('RESP version must be 2.', 2) end
  end,
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
}

getmetatable('').__metatable = false

local base = {
  assert = assert, error = error, getmetatable = getmetatable, ipairs = ipairs, next = next,
  pairs = pairs, pcall = function(...) return caught(pcall(...)) end, rawequal = rawequal, rawget = rawget, select = select,
  setmetatable = setmetatable, tonumber = tonumber, tostring = tostring, type = type,
  unpack = unpack, xpcall = xpcall, _VERSION = _VERSION,
  math = readonly(math), string = readonly(string), table = readonly(table),
  redis = readonly(redis), server = readonly(redis),
}
setmetatable(base, { __index = function(_, name)
  error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
end })

local world = setmetatable({}, { __index = base, __newindex = refuse, __metatable = false })
base._G = world

return world, function(script)
  return xpcall(script, told)
end
