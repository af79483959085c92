#!/usr/bin/env bash
# One Kafka broker on loopback, from Maven artifacts: for tests and for trying the fleet example.
#
#   kafka.sh deps|start|stop     KAFKA_HOME (state; default build/kafka), KAFKA_PORT (default 19092)
#
# Needs Java 17 and Maven. `start` prints when the port answers; `stop` ends the process it started.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${KAFKA_HOME:-$here/../../build/kafka}
port=${KAFKA_PORT:-19092}
mkdir -p "$home"
home=$(cd "$home" && pwd)
java=(java -Dorg.slf4j.simpleLogger.defaultLogLevel=warn
      -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info -cp "$home/lib/*")

configure() {
  cat >"$home/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$home/data
num.partitions=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.bytes=268435456
PROPERTIES
  if [ ! -f "$home/data/meta.properties" ]; then
    # A cluster's id is 16 bytes in URL-safe base64.
    id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'ab' | cut -c 1-22)
    "${java[@]}" -Xmx128m kafka.tools.StorageTool format -t "$id" -c "$home/server.properties" \
      >"$home/format.log" 2>&1 || { cat "$home/format.log" >&2; return 1; }
  fi
}

is_running() { [ -f "$home/pid" ] && kill -0 "$(cat "$home/pid")" 2>/dev/null; }
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

start() {
  [ -d "$home/lib" ] || deps
  if is_running; then echo "already running"; return; fi
  configure
  nohup "${java[@]}" -Xmx512m -XX:+UseSerialGC kafka.Kafka "$home/server.properties" \
    >"$home/kafka.log" 2>&1 </dev/null &
  echo $! >"$home/pid"
  for _ in $(seq 1 900); do
    if grep -q 'Kafka Server started' "$home/kafka.log" && answers; then
      echo "listening on 127.0.0.1:$port"
      return
    fi
    is_running || break
    sleep 0.1
  done
  tail -n 20 "$home/kafka.log" >&2
  return 1
}

deps() {
  mvn -B -q -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$home/lib" \
    -DincludeScope=runtime
}

stop() {
  is_running || return 0
  kill "$(cat "$home/pid")"
  for _ in $(seq 1 100); do is_running || break; sleep 0.1; done
  if is_running; then kill -9 "$(cat "$home/pid")"; fi
  rm -f "$home/pid"
}

case "${1:-}" in
  deps | start | stop) "$1" ;;
  *) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
