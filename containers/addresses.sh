#!/bin/sh
# Says where each container of the edge is published, by the ports that it has now and not by those it was
# to get, which may be a range: `sh containers/addresses.sh`. COMPOSE_FILE and COMPOSE_PROJECT_NAME say of
# which system, as for `docker compose`.
set -eu

# What is published at every address of this machine is at its own too.
published() {
    docker port "$1" "$2" 2>/dev/null | sed 's/^0\.0\.0\.0:/127.0.0.1:/; s/^\[::\]:/[::1]:/' | head -n 1
}

# Assigned first: where Docker fails in a loop's own line, or in a pipe's, the shell goes on.
containers=$(docker compose ps --quiet)
addresses=$(for container in $containers; do
    # Only the edge has such a port; in the monolith it is the one container of all tiers.
    http=$(published "$container" 5000/tcp)
    [ -n "$http" ] || continue
    grpc=$(published "$container" 50050/tcp)
    echo "Up: http://$http/docs${grpc:+, gRPC at $grpc}"
done)
[ -n "$addresses" ] || { echo "addresses: no container of the edge that runs is published" >&2; exit 1; }
echo "$addresses" | sort
