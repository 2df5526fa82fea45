#!/bin/sh
# Replaces the containers of a tier one by one, without losing a request: `sh containers/roll.sh service`.
#
# Compose has no such mode. For each container that runs a new one is started, from the image and the
# settings of now, and awaited; only then the old one is told to end, which drains it. COMPOSE_FILE and
# COMPOSE_PROJECT_NAME say which system, as for `docker compose`.
set -eu

tier=${1:?which tier}
old=$(docker compose ps --quiet "$tier")
[ -n "$old" ] || { echo "roll: no container of $tier runs" >&2; exit 1; }
count=$(echo "$old" | wc -l)

number=0
for container in $old; do
    number=$((number + 1))
    before=$(docker compose ps --all --quiet "$tier")
    docker compose up --detach --no-deps --no-recreate --no-build --wait \
        --scale "$tier=$((count + 1))" "$tier" >/dev/null || {
        # What could not be started would hold its name, and its port if it has one.
        for each in $(docker compose ps --all --quiet "$tier"); do
            case "$before" in *"$each"*) ;; *) docker rm --force "$each" >/dev/null ;; esac
        done
        echo "roll: no further container of $tier starts; the old ones still run. A tier with published ports" \
            "needs one port more than it has containers (ARCANA_HTTP, ARCANA_GRPC)." >&2
        exit 1
    }
    # How long it may take is its stop_grace_period.
    docker stop "$container" >/dev/null
    docker rm "$container" >/dev/null
    echo "roll: replaced $number of $count of $tier"
done
