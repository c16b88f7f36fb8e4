#!/usr/bin/env bash
# Every check that runs nothing of the package: rules, form, types, architecture, shell scripts.
set -euo pipefail
cd "$(dirname "$0")/.."

step() {
  printf '\n== %s\n' "$1"
  shift
  "$@"
}

step "rules (ruff)" .venv/bin/ruff check .
step "form (ruff format)" .venv/bin/ruff format --check .
step "types (mypy --strict)" .venv/bin/mypy
step "architecture (import-linter)" .venv/bin/lint-imports --no-logo
step "shell scripts (shellcheck)" .venv/bin/shellcheck --external-sources scripts/*.sh .ci/run
