#!/usr/bin/env bash
# Sets up what is missing and runs every check and every test.
#
# usage: scripts/test.sh [ARGUMENT OF pytest...]
#
# Without the right to install the servers their tests are left out, and counted at the end; with CI=true that is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

without=()
ready=0
scripts/setup.sh --servers postgres test fuzz || ready=$?
if [ "$ready" = "$WITHOUT_SERVERS" ]; then
  [ "${CI:-}" != true ] || die "CI=true: the tests with real servers must run, and the packages above are missing"
  without=(--without-servers)
elif [ "$ready" != 0 ]; then
  exit "$ready"
fi

status=0
# Half of the tests wait for servers and half compute, so there is a worker more than cores; arguments for one test want no second one.
[ $# -gt 0 ] || set -- --numprocesses $(($(nproc) + 1)) --dist loadfile --no-loadscope-reorder

# The types of everything take one core for a minute, and tests begin with those that wait.
checks=$(mktemp)
trap 'rm -f "$checks"' EXIT
scripts/lint.sh >"$checks" 2>&1 &
checking=$!
printf '\n== tests (pytest), and every other check beside them\n'
.venv/bin/python -m pytest ${without[@]+"${without[@]}"} "$@" || status=$?
wait "$checking" || status=$?
cat "$checks"
exit "$status"
