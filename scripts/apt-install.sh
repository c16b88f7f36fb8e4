#!/usr/bin/env bash
# Installs Debian packages and starts none of the daemons in them, now or at the next boot.  Runs as root.
#
# usage: scripts/apt-install.sh PACKAGE...
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

# invoke-rc.d asks this program whether a package may start its daemon; 101 means no (Debian's README.policy-rc.d).
readonly POLICY=/usr/sbin/policy-rc.d
log=$(mktemp)
before=$(mktemp)
ours=

tidy_up() {
  rm -f "$log" "$before"
  [ -z "$ours" ] || rm -f "$POLICY"
}
trap tidy_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

forbid_starts() {
  # An administrator's own policy stays: noclobber makes looking and writing one step.
  if (set -o noclobber && printf '#!/bin/sh\nexit 101\n' >"$POLICY") 2>/dev/null; then
    ours=yes
    chmod 755 "$POLICY"
  fi
}

apt() {
  DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet -o DPkg::Lock::Timeout=120 "$@" </dev/null >>"$log" 2>&1
}

installed() { dpkg-query --show --showformat='${Package}\n' | sort -u; }

# What came as a dependency counts too: epmd, which Erlang brings, would listen on every address.
disable_new_services() {
  local new unit
  command -v systemctl >/dev/null || return 0
  mapfile -t new < <(installed | comm -13 "$before" -)
  [ ${#new[@]} -gt 0 ] || return 0
  dpkg --listfiles "${new[@]}" | sed -n 's,^.*/systemd/system/\([^/@]*\.\(service\|socket\)\)$,\1,p' | sort -u | while read -r unit; do
    if systemctl --quiet is-enabled "$unit" && systemctl --quiet disable "$unit" 2>>"$log"; then
      say "the system does not start $unit by itself; \`systemctl enable $unit\` changes that"
    fi
  done
}

say "installing the Debian packages $*"
installed >"$before"
forbid_starts
# The lists of a fresh machine are empty, those of an old one name files that are gone: then they are fetched anew.
if ! apt install --no-install-recommends "$@" && ! { apt update && apt install --no-install-recommends "$@"; }; then
  tail -n 15 "$log" >&2
  die "apt-get could not install $*"
fi
disable_new_services
