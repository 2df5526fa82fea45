#!/bin/sh
# Makes .venv from a lock: `sh requirements/install.sh run` or `… dev`.
#
# Does nothing when the environment is already made from this lock for this folder, which it knows from
# the checksum kept in .venv. Needs a POSIX shell and a Python of version 3.11 or newer, nothing else.
set -eu

kind=$1
cd "$(dirname "$0")/.."
lock=requirements/$kind.lock
venv=.venv

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# What the environment is made of. The folder belongs to it, since installed scripts name it.
signature() {
    { pwd; cat "$1"; sed "/^\[tool\.ruff\]/,\$d" pyproject.toml; } | cksum
}

# The dev lock holds everything of the run lock, so an environment for tests also runs.
is_made() {
    [ -x $venv/bin/python ] || return 1
    for made in "$@"; do
        [ "$(cat "$venv/made-from-$made" 2>/dev/null)" = "$(signature "requirements/$made.lock")" ] && return 0
    done
    return 1
}

case $kind in
    run) is_made run dev && exit 0 ;;
    dev) is_made dev && exit 0 ;;
    *) die "no such environment: $kind" ;;
esac

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} python3.14 python3.13 python3.12 python3.11 python3 python; do
        if "$candidate" -c "$new_enough" >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

if [ -n "${PYTHON:-}" ] && ! "$PYTHON" -c "$new_enough" >/dev/null 2>&1; then
    die "PYTHON=$PYTHON is no Python of version 3.11 or newer"
fi
python=$(find_python) ||
    die 'Python 3.11 or newer is needed and none was found: install it (Debian: apt-get install python3 python3-venv), or name one: make PYTHON=/path/to/python'

# Debian keeps ensurepip in a package of its own.
if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    package=python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv
    if [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ] && command -v apt-get >/dev/null; then
        say "$python cannot make environments: installing $package with apt"
        log=$(mktemp)
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package"; } \
            >"$log" 2>&1 </dev/null || { tail -n 5 "$log" >&2; die "apt could not install $package"; }
        rm -f "$log"
    else
        die "$python cannot make environments: apt-get install $package (or your system's package with venv and ensurepip), then try again"
    fi
fi

# pip reads all its options from PIP_* too. Where to fetch from, and how, is for the reader to say; these
# would change what is installed, or where to.
unset PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_CONSTRAINT PIP_REQUIREMENT PIP_EDITABLE PIP_REQUIRE_HASHES \
    PIP_DRY_RUN PIP_PYTHON PIP_NO_DEPS PIP_REQUIRE_VIRTUALENV PIP_UPGRADE PIP_IGNORE_INSTALLED PIP_REPORT \
    PIP_BUILD_CONSTRAINT PIP_ONLY_DEPS PYTHONHOME VIRTUAL_ENV
# A per-user configuration may ask for --user as well.
export PIP_USER=0

if ! $venv/bin/python -c "$new_enough" >/dev/null 2>&1 || ! $venv/bin/python -m pip --version >/dev/null 2>&1; then
    say "making $venv with $("$python" --version 2>&1)"
    rm -rf $venv
    "$python" -m venv $venv || die "$python -m venv failed: see above"
fi
say "installing the locked packages of $lock (the first time takes a minute or two)"
$venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes -r "$lock" ||
    die "the packages of $lock could not be installed: see above; is a package index reachable?"
$venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-index --no-build-isolation -e . ||
    die 'this project could not be installed into its environment: see above'
signature "$lock" >"$venv/made-from-$kind"
