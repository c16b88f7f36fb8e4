# Sourced by the other scripts, which stand in the repository's root: virtual environments with hashed requirements.
# shellcheck shell=bash

# Exit status of set-up when all is ready but for the server packages, which could not be had.
# shellcheck disable=SC2034  # read by those who source this file
readonly WITHOUT_SERVERS=3

say() { printf 'setup: %s\n' "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# can_make_venv PYTHON: true if it is 3.11 or later and has what `python -m venv` needs (Debian ships that apart).
can_make_venv() {
  "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# find_python: prints the first usable Python; $PYTHON goes before all others.
find_python() {
  local name
  for name in ${PYTHON:+"$PYTHON"} python3 python3.11 python3.12 python3.13 python3.14 /usr/bin/python3; do
    if can_make_venv "$name"; then
      command -v "$name"
      return
    fi
  done
  return 1
}

# venv_is_whole VENV: true if its Python runs and it was made at this place (scripts in it name their interpreter by path).
venv_is_whole() {
  [ "$(cat "$1/.made-at" 2>/dev/null)" = "$PWD/$1" ] && "$1/bin/python" -c 'import pip' 2>/dev/null
}

# make_venv VENV: makes the virtual environment unless a whole one is there.
make_venv() {
  local python
  if venv_is_whole "$1"; then return; fi
  python=$(find_python) || die "no Python >= 3.11 with the modules venv and ensurepip was found (Debian: python3-venv); PYTHON=... names one"
  say "making $1 with $("$python" --version)"
  rm -rf "$1"
  "$python" -m venv "$1"
  printf '%s\n' "$PWD/$1" >"$1/.made-at"
}

# once VENV NAME FILE... -- COMMAND...: runs COMMAND unless it succeeded before with these very files.
once() {
  local stamp=$1/.done-$2 name=$2 files=() key
  shift 2
  while [ "$1" != -- ]; do
    files+=("$1")
    shift
  done
  shift
  key=$(cat "${files[@]}" | sha256sum)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$key" ]; then return; fi
  say "installing $name"
  "$@"
  printf '%s\n' "$key" >"$stamp"
}

# pip_install VENV ARGUMENT...: errors only; the warnings of a user's own pip settings are not about us.
pip_install() {
  local venv=$1
  shift
  "$venv/bin/python" -m pip install --quiet --quiet --no-input --disable-pip-version-check "$@"
}

# install_groups VENV GROUP...: installs requirements/GROUP.txt; every file must have a hash that stands there.
install_groups() {
  local venv=$1 group
  shift
  for group; do
    once "$venv" "$group" "requirements/$group.txt" -- \
      pip_install "$venv" --require-hashes --only-binary :all: -r "requirements/$group.txt"
  done
}

# install_package VENV: this repository itself, editable; fetches nothing.
install_package() {
  once "$1" clearinghouse pyproject.toml requirements/runtime.in -- \
    pip_install "$1" --no-index --no-deps --no-build-isolation --editable .
}
