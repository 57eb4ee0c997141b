# shellcheck shell=bash disable=SC2034
# What scripts/test and scripts/demo need of this machine. Sourced; needs `die`, `say` and HERE.

# A build needs a C compiler for libgit2, libssh2 and SQLite, and the system's OpenSSL and zlib.
BUILD_PACKAGES=(gcc libc6-dev make pkg-config libssl-dev zlib1g-dev)

need_root() { [ "$(id -u)" = 0 ] || die "needs root: it boots a machine of its own (try sudo)"; }

need_apt() {
  command -v apt-get >/dev/null || die "no apt-get here: this wants Debian or Ubuntu"
}

# Those of the packages that are not installed, installed.
packages() {
  local missing=() name
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} != 0 ] || return 0
  need_apt
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1 </dev/null && return
  apt-get update -qq >/dev/null || die "apt-get update failed: no network? Install by hand: ${missing[*]}"
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null </dev/null ||
    die "cannot install: ${missing[*]}"
}

# A store that speaks S3, where tests look for it: moto in an environment of its own, made anew when its list changes.
store() {
  local home=/var/cache/tsh-agent-tests/store key
  key=$(sha256sum < "$HERE/tests/lab/store.txt")
  [ "$(cat "$home/made" 2>/dev/null)" != "$key" ] || return 0
  say "installing the store for tests"
  rm -rf "$home"; mkdir -p "$home"
  { python3 -m venv "$home/venv" &&
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check -r "$HERE/tests/lab/store.txt"; } ||
    die "cannot install what tests/lab/store.txt lists"
  echo "$key" > "$home/made"
}

# Under sudo the toolchain is that of whoever called, and so is what cargo writes, afterwards.
toolchain() {
  local home
  home=$(getent passwd "${SUDO_USER:-root}" | cut -d: -f6)
  PATH="$PATH:$home/.cargo/bin:/root/.cargo/bin"
  export PATH RUSTUP_HOME="${RUSTUP_HOME:-$(of "$home" .rustup)}" CARGO_HOME="${CARGO_HOME:-$(of "$home" .cargo)}"
  command -v cargo >/dev/null || die "no Rust toolchain: https://rustup.rs, or the distribution's packages"
  cargo --version >/dev/null || die "cargo does not run for root; as the user: rustup default stable"
  TARGET=${CARGO_TARGET_DIR:-$HERE/target}
  if [ -n "${SUDO_UID:-}" ]; then trap give_back EXIT; fi
}
of() { if [ -d "$1/$2" ]; then echo "$1/$2"; else echo "/root/$2"; fi; }
give_back() {
  local d
  for d in "$TARGET" "$CARGO_HOME/registry"; do
    if [ -d "$d" ]; then chown -R --no-dereference "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$d"; fi
  done
}

# Sets PROGRAM, a debug build (arguments are cargo's) that starts in the lab. The lab is Debian 12: where the C library here is newer, a
# program linked against it would not start there, so it is linked into the program.
program() {
  local host
  if dpkg --compare-versions "$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)" le 2.36; then
    cargo build --quiet "$@" || return
    PROGRAM=$TARGET/debug/tsh-agent
    return
  fi
  host=$(rustc -vV | sed -n 's/^host: //p')
  OPENSSL_STATIC=1 RUSTFLAGS='-C target-feature=+crt-static' cargo build --quiet --target "$host" "$@" || return
  PROGRAM=$TARGET/$host/debug/tsh-agent
}
