-- One decision about one hello, in one atomic step on the server's own clock.
-- KEYS: 1 nonce, 2 bucket of the tenant, 3 memory ("run id:since ms", what this store can vouch for)
-- ARGV: 1 ts_ms of the hello, 2 skew_ms, 3 margin_ms, 4 burst, 5 emission_us, 6 challenged (0 or 1)
-- Returns {word, milliseconds, run id}.
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now_ms = math.floor(now_us / 1000)
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')

-- Another process answers, or the memory was flushed: what was accepted before now is unknown.
local memory = redis.call('GET', KEYS[3])
local known_run, since = string.match(memory or '', '^(%x+):(%d+)$')
if known_run ~= run_id then
  since = string.format('%.0f', now_ms)
  redis.call('SET', KEYS[3], run_id .. ':' .. since)
end

-- A hello dated ts may have been accepted as early as ts - skew; is all of that within memory?
if ARGV[6] ~= '1' and tonumber(ARGV[1]) - tonumber(ARGV[2]) < tonumber(since) then
  return {'forgotten', 0, run_id}
end

-- Held for as long as this hello could still be accepted, and a margin for clocks that disagree.
local ttl = tonumber(ARGV[1]) + tonumber(ARGV[2]) - now_ms + tonumber(ARGV[3])
if ttl <= 0 then return {'stale', 0, run_id} end
local fresh = redis.call('SET', KEYS[1], '1', 'NX', 'PX', string.format('%.0f', ttl))
if not fresh then return {'replayed', 0, run_id} end

-- GCRA: the theoretical arrival time of the tenant's next hello. After the nonce, so that replays of
-- a stolen hello cannot use up the tenant's rate; a throttled hello leaves no nonce behind.
local emission, burst = tonumber(ARGV[5]), tonumber(ARGV[4])
local arrival = math.max(tonumber(redis.call('GET', KEYS[2]) or now_us), now_us) + emission
local allowed_at = arrival - emission * burst
if allowed_at > now_us then
  redis.call('DEL', KEYS[1])
  return {'throttled', math.ceil((allowed_at - now_us) / 1000), run_id}
end
redis.call('SET', KEYS[2], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now_us) / 1000) + 1)
return {'fresh', ttl, run_id}
