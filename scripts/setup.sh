#!/usr/bin/env bash
# Makes this checkout ready to run, and does nothing where it already is.
#
# usage: scripts/setup.sh [--servers] GROUP...     GROUP: postgres, test, fuzz, bench, docs (requirements/GROUP.txt)
#
# Makes .venv with the hashed requirements of the package and of the groups, and installs the package in it, editable.
# With --servers it also installs the Debian packages of requirements/debian.txt that are missing.
#
# Exit status: 0 ready; 3 ready, but server packages are missing and could not be had; 1 not ready.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

readonly VENV=.venv
servers=
if [ "${1:-}" = --servers ]; then
  servers=yes
  shift
fi

# is_installed PACKAGE: by dpkg; on a system without it, by the program of that name.
is_installed() {
  case $1 in
    python3-venv) venv_is_whole "$VENV" || find_python >/dev/null ;;
    *)
      if command -v dpkg-query >/dev/null; then
        dpkg-query --show --showformat='${Status}' "$1" 2>/dev/null | grep -q '^install ok installed$'
      else
        case $1 in
          iproute2) command -v ip >/dev/null ;;
          jabberd2) command -v jabberd2-s2s >/dev/null || [ -x /usr/sbin/jabberd2-s2s ] ;;
          postgresql) command -v initdb >/dev/null ;;
          lua-unbound) command -v prosodyctl >/dev/null ;; # other systems package it with Prosody, or under other names
          *) command -v "${1}ctl" >/dev/null ;;
        esac
      fi
      ;;
  esac
}

missing_packages() {
  local name _
  while read -r name _; do
    case $name in
      '' | '#'*) ;;
      python3-venv) is_installed "$name" || echo "$name" ;;
      *) [ -z "$servers" ] || is_installed "$name" || echo "$name" ;;
    esac
  done <requirements/debian.txt
}

# as_root COMMAND...: returns 1, without running it, where that is not allowed.  Asks for a password only somebody
# who sits at a terminal and belongs to the group that may use sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif sudo -n true 2>/dev/null; then
    sudo -n "$@"
  elif [ -t 0 ] && command -v sudo >/dev/null && id -nG | grep -qwE 'sudo|wheel|admin'; then
    say "sudo may ask for your password"
    sudo "$@"
  else
    return 1
  fi
}

explain_missing() {
  say "these Debian packages are missing and could not be installed from here:"
  printf '    %s\n' "$@" >&2
  if command -v apt-get >/dev/null; then
    say "install them with: sudo apt-get install --no-install-recommends $*"
  else
    say "this is not Debian: install what these names stand for in the way of this system"
  fi
  say "without ejabberd and prosody the demonstration runs in memory, and the tests with real servers are left out"
}

status=0
mapfile -t missing < <(missing_packages)
if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null || ! as_root bash scripts/apt-install.sh "${missing[@]}"; then
    explain_missing "${missing[@]}"
    status=$WITHOUT_SERVERS
  fi
fi

make_venv "$VENV"
install_groups "$VENV" build runtime "$@"
install_package "$VENV"
exit "$status"
