"""What Redis does in one step, so that a crash in between leaves no event in neither place.

An event that a group has not been given yet is in the stream; one that a consumer holds for the
first time is in the group's pending entries; one that was refused is out of the stream, for that
may be cut off behind it: its body is in the hash `refused`, and `again` says when it is due.

KEYS of scripts about a group: the stream, the group's `again`, its `refused`, its stream of dead
events.
"""

from __future__ import annotations

_SHARED = """
local stream, again, refused, dead = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group = ARGV[1]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function field(entry, name)
  for index = 1, #entry, 2 do
    if entry[index] == name then return entry[index + 1] end
  end
  return false
end

local function forget(id)
  redis.call('ZREM', again, id)
  redis.call('HDEL', refused, id, id .. ':attempts', id .. ':error')
end

local function bury(id, body, attempts, reason, kept)
  redis.call('XADD', dead, 'MAXLEN', '~', kept, '*',
    'body', body, 'attempts', attempts, 'error', reason)
  redis.call('XACK', stream, group, id)
  forget(id)
end
"""

# KEYS: the stream. ARGV: how many entries to keep, about. What a group was not given, or has in its
# consumers' hands, stays however many that are: it is nowhere else in Redis.
TRIM = """
local stream = KEYS[1]
local excess = redis.call('XLEN', stream) - tonumber(ARGV[1])
if excess <= 0 then return 0 end

local function is_before(one, other)
  local ms, number = string.match(one, '(%d+)-(%d+)')
  local other_ms, other_number = string.match(other, '(%d+)-(%d+)')
  if ms ~= other_ms then return tonumber(ms) < tonumber(other_ms) end
  return tonumber(number) < tonumber(other_number)
end

local oldest = false
for _, found in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local group = {}
  for index = 1, #found, 2 do group[found[index]] = found[index + 1] end
  local id = group['last-delivered-id']
  if group['pending'] > 0 then
    id = redis.call('XPENDING', stream, group['name'])[2]
  end
  if not oldest or is_before(id, oldest) then oldest = id end
end
if not oldest then
  return redis.call('XTRIM', stream, 'MAXLEN', '~', ARGV[1])
end
return redis.call('XTRIM', stream, 'MINID', '~', oldest, 'LIMIT', excess)
"""

# ARGV: group, lease in ms, how many at most, most attempts, dead events to keep, what to say of
# those whose lease ran out, and the types that are wanted. Answers {id, attempt, body} of each
# event that is due again.
TAKE_AGAIN = (
    _SHARED
    + """
local lease, count, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local kept, ran_out = ARGV[5], ARGV[6]
local wanted = {}
for index = 7, #ARGV do wanted[ARGV[index]] = true end
local given = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', again, '-inf', now, 'LIMIT', 0, count)) do
  local body = redis.call('HGET', refused, id)
  local attempts = tonumber(redis.call('HGET', refused, id .. ':attempts') or '0')
  if not body then
    forget(id)
  elseif attempts >= most then
    bury(id, body, attempts, redis.call('HGET', refused, id .. ':error') or ran_out, kept)
  else
    redis.call('ZADD', again, now + lease, id)
    redis.call('HSET', refused, id .. ':attempts', attempts + 1)
    given[#given + 1] = {id, attempts + 1, body}
  end
end
if #given < count then
  local claimed = redis.call(
    'XAUTOCLAIM', stream, group, 'consumers', lease, '0-0', 'COUNT', count - #given)
  for _, entry in ipairs(claimed[2]) do
    local id, body = entry[1], field(entry[2], 'body')
    -- This claim is counted already.
    local attempt = redis.call('XPENDING', stream, group, id, id, 1)[1][4]
    if not wanted[field(entry[2], 'type')] then
      -- Whoever was given it died before it could be settled unseen.
      redis.call('XACK', stream, group, id)
    elseif attempt > most then
      bury(id, body, attempt - 1, ran_out, kept)
    else
      given[#given + 1] = {id, attempt, body}
    end
  end
end
return given
"""
)

# ARGV: group, id, outcome, reason, most attempts, dead events to keep, first and longest pause in
# ms, a chance from 0 to 1.
SETTLE = (
    _SHARED
    + """
local id, outcome, reason = ARGV[2], ARGV[3], ARGV[4]
local most, kept = tonumber(ARGV[5]), ARGV[6]
local first, longest, chance = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
if outcome == 'done' then
  redis.call('XACK', stream, group, id)
  forget(id)
  return
end
local body, attempts = redis.call('HGET', refused, id), 0
if body then
  attempts = tonumber(redis.call('HGET', refused, id .. ':attempts'))
else
  local pending = redis.call('XPENDING', stream, group, id, id, 1)[1]
  if not pending then return end
  attempts = pending[4]
  local entry = redis.call('XRANGE', stream, id, id)[1]
  if not entry then
    -- Somebody else has removed it from the stream, which TRIM never does.
    redis.call('XACK', stream, group, id)
    return
  end
  body = field(entry[2], 'body')
end
local pause = first
if outcome == 'failed' then
  if attempts >= most then
    bury(id, body, attempts, reason, kept)
    return
  end
  pause = math.min(first * 2 ^ (attempts - 1), longest)
else
  attempts = math.max(attempts - 1, 0)
end
redis.call('XACK', stream, group, id)
redis.call('HSET', refused, id, body, id .. ':attempts', attempts)
if reason ~= '' then redis.call('HSET', refused, id .. ':error', reason) end
redis.call('ZADD', again, now + math.floor(pause * (0.5 + chance / 2)), id)
"""
)
