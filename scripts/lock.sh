#!/usr/bin/env bash
# Writes requirements/GROUP.txt from requirements/GROUP.in: exact versions, a hash for every file of each, no addresses.
#
# usage: scripts/lock.sh [OPTION OF uv pip compile...]     e.g. --upgrade, --upgrade-package lark
#
# One lock serves Python 3.11 and later on any Linux (markers tell them apart).  Settings of this machine for further
# indexes are ignored, so that no local build of a package gets its hash into a lock.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

unset UV_INDEX UV_EXTRA_INDEX_URL UV_FIND_LINKS
VENV=.venv-lock
make_venv "$VENV"
install_groups "$VENV" lock
for group in build runtime postgres test fuzz bench docs lock; do
  say "locking $group"
  "$VENV/bin/uv" pip compile --quiet --no-config --no-build --universal --fork-strategy fewest --python-version 3.11 \
    --generate-hashes --custom-compile-command "make lock" "$@" --output-file "requirements/$group.txt" "requirements/$group.in"
done
