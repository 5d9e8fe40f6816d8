# Sidekiq: push_bulk in chunks of 1,000, 10 threads (its own default), the open-source fetch.

require "json"
require "sidekiq"

BULK = 1000
WARM_UP = 900_000_000
LAST_ATTEMPT = 3
PAYLOAD_BYTES = 100

# Tells the handler which attempt it is, which only a middleware can see.
class Attempts
  def call(_worker, job, _queue)
    Thread.current[:attempt] = job["retry_count"] ? job["retry_count"] + 2 : 1
    yield
  end
end

class Job
  include Sidekiq::Worker
  sidekiq_options retry: 5, queue: "peers"
  sidekiq_retry_in { 1 }

  LOG = ENV["PEER_LOG"] && File.open(ENV["PEER_LOG"], File::CREAT | File::APPEND | File::WRONLY)

  def perform(id, _pad)
    attempt = Thread.current[:attempt]
    us = Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond)
    LOG.syswrite(format("%016d %s %04d\n", us, id, attempt))
    sleep if ENV["PEER_MODE"] == "hang"
    fails = ENV["PEER_MODE"] == "retry" && attempt < LAST_ATTEMPT && id.to_i < WARM_UP
    raise "not yet" if fails
  end
end

Sidekiq.configure_client { |config| config.redis = { url: ENV["PEER_URL"] } }
Sidekiq.configure_server do |config|
  config.redis = { url: ENV["PEER_URL"] }
  config.server_middleware { |chain| chain.add Attempts }
  config.logger.level = Logger::FATAL
end

def parse(args)
  push = { count: args.shift.to_i, first: 0, due: 0, spread: 0 }
  until args.empty?
    option = args.shift
    value = args.shift.to_i
    case option
    when "--delay-until-ms" then push[:due] = value
    when "--delay-ms" then push[:due] = (Time.now.to_f * 1000).to_i + value
    when "--spread-ms" then push[:spread] = value
    when "--first-id" then push[:first] = value
    else raise "no option #{option}"
    end
  end
  push
end

def push(args)
  wanted = parse(args)
  pad = "x" * (PAYLOAD_BYTES - '{"id":"","pad":""}'.size - 10)
  started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  (0...wanted[:count]).each_slice(BULK) do |indices|
    bulk = { "class" => Job, "args" => indices.map { |i| [format("%010d", wanted[:first] + i), pad] } }
    if wanted[:due] > 0
      share = wanted[:spread].to_f / wanted[:count]
      bulk["at"] = indices.map { |i| (wanted[:due] + share * i) / 1000.0 }
    end
    Sidekiq::Client.push_bulk(bulk)
  end
  seconds = Process.clock_gettime(Process::CLOCK_MONOTONIC) - started
  puts JSON.generate("seconds" => seconds, "due_ms" => wanted[:due])
end

def work
  # Twenty handlers can only hang at the same time in twenty threads.
  threads = ENV["PEER_MODE"] == "hang" ? 20 : 10
  exec("sidekiq", "--require", __FILE__, "--concurrency", threads.to_s, "--queue", "peers")
end

if $PROGRAM_NAME == __FILE__
  ARGV.first == "push" ? push(ARGV.drop(1)) : work
end
