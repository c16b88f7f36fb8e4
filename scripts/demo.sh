#!/usr/bin/env bash
# Sets up what is missing and runs the demonstration: at a real ejabberd, or in memory where that could not be had.
#
# usage: scripts/demo.sh [ARGUMENT OF clearinghouse.demo...]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

status=0
scripts/setup.sh --servers || status=$?
if [ "$status" = "$WITHOUT_SERVERS" ]; then
  say "the demonstration runs against a broker in memory instead"
  set -- --memory "$@"
elif [ "$status" != 0 ]; then
  exit "$status"
fi
exec .venv/bin/python -m clearinghouse.demo "$@"
