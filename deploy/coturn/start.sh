#!/bin/sh
# Start coturn with the secret it shares with the server. It relays to the server's own address and to no other, so
# that nobody reaches the network behind it through it.
set -eu
for name in RIGID_LIVE_TURN_SECRET RIGID_LIVE_PUBLIC_IP; do
    eval "value=\${$name:-}"
    if [ -z "$value" ]; then
        echo "Error: $name is not set; TURN needs it, see .env.example." >&2
        exit 2
    fi
done
conf=/tmp/turnserver.conf
(
    umask 077
    cat > "$conf" <<CONF
use-auth-secret
static-auth-secret=$RIGID_LIVE_TURN_SECRET
realm=${RIGID_LIVE_TURN_REALM:-rigid-live}
listening-port=${RIGID_LIVE_TURN_PORT:-3478}
min-port=${RIGID_LIVE_TURN_MIN_PORT:-49160}
max-port=${RIGID_LIVE_TURN_MAX_PORT:-49460}
external-ip=$RIGID_LIVE_PUBLIC_IP
allowed-peer-ip=${RIGID_LIVE_PUBLIC_IP%%/*}
allowed-peer-ip=${RIGID_LIVE_PUBLIC_IP##*/}
denied-peer-ip=0.0.0.0-255.255.255.255
denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
fingerprint
no-cli
no-tls
no-dtls
no-multicast-peers
no-software-attribute
user-quota=${RIGID_LIVE_TURN_RELAYS_PER_USER:-8}
max-bps=${RIGID_LIVE_TURN_MAX_BYTES_PER_SECOND:-1000000}
total-quota=${RIGID_LIVE_TURN_MAX_RELAYS:-300}
stale-nonce=600
log-file=stdout
simple-log
pidfile=/tmp/turnserver.pid
CONF
)
exec turnserver -c "$conf"
