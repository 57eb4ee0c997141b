# shellcheck shell=bash disable=SC2016,SC2034
# The base image and the wheelhouse of scripts/lab, which sources this. Two read-only layers in $CACHE, each named
# by a hash of all that went into it: base-KEY (about a minute, 550 MB) and wheels-KEY (seconds, 70 MB).

# The Debian that the scenarios run on, and the Python of each Debian, for its wheels.
SUITE=${SUITE:-bookworm}
python_of() { case $1 in bookworm) echo 3.11;; trixie) echo 3.13;; *) die "no such suite here: $1 (bookworm, trixie)";; esac; }
PACKAGES=(
  systemd-sysv dbus polkitd libpam-systemd
  postgresql pgbouncer redis-server nginx openssh-server
  python3 python3-venv git sudo curl ca-certificates iproute2 procps less acl psmisc zstd
  libssl3 zlib1g                      # the agent links the system's OpenSSL
)

# The expensive layer. Its text is part of its own key (see base_key), so a change here makes a new image.
make_base() {
  local t=$1 unit
  mmdebstrap --mode=root --variant=minbase --include="$(IFS=,; echo "${PACKAGES[*]}")" \
    --dpkgopt=force-unsafe-io --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --essential-hook='echo LANG=C.UTF-8 > "$1/etc/default/locale"' \
    "$SUITE" "$t" ${TSH_LAB_MIRROR:+"$TSH_LAB_MIRROR"} || return 1
  # One machine-id for ever: the journal of a machine goes on after a crash, a saved state and a new name.
  od -An -N16 -tx1 /dev/urandom | tr -d ' \n' > "$t/etc/machine-id"; echo >> "$t/etc/machine-id"
  mkdir -p "$t/var/lib/dbus"; ln -sf /etc/machine-id "$t/var/lib/dbus/machine-id"
  mkdir -p "$t/etc/systemd/journald.conf.d" "$t/opt/wheelhouse"
  printf '[Journal]\nStorage=persistent\nSystemMaxUse=256M\n' > "$t/etc/systemd/journald.conf.d/lab.conf"
  chroot "$t" install -d -m 2755 -g systemd-journal /var/log/journal || return 1
  echo '# no name server: this machine cannot reach the internet' > "$t/etc/resolv.conf"
  rm -f "$t/etc/nginx/sites-enabled/default"                # port 80 belongs to what is being tested
  rm -f "$t"/etc/systemd/system/*.wants/pgbouncer.service   # there for the scenarios about it alone
  ln -sf /opt/wheelhouse/bin/uv "$t/usr/local/bin/uv"
  for unit in console-getty.service getty.target apt-daily.timer apt-daily-upgrade.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer dpkg-db-backup.timer logrotate.timer; do
    ln -sf /dev/null "$t/etc/systemd/system/$unit"          # of no use in a container, or noise in a test
  done
  compgen -G "$t/etc/ssh/ssh_host_*_key" >/dev/null && compgen -G "$t/etc/postgresql/*/main" >/dev/null
}

# The cheap layer: every wheel the fixtures ask for, and uv. Each file is resolved on its own, because two
# revisions of a fixture may want two versions of one package. Python, ABI and platform are those of the image;
# pip would judge environment markers by the Python it runs on, so those are overridden, too.
make_wheels() {
  local t=$1 version=$2 py tag f; shift 2
  local args=(--quiet --disable-pip-version-check --dest "$t" --only-binary :all:
    --python-version "$version" --implementation cp --abi "cp${version/./}")
  for tag in manylinux1 manylinux2010 manylinux2014 manylinux_2_{5,12,17,24,27,28,31,34,35,36}; do
    args+=(--platform "${tag}_$(uname -m)")
  done
  for py in python3 /usr/bin/python3; do "$py" -m pip --version >/dev/null 2>&1 && break; done
  "$py" -m pip --version >/dev/null 2>&1 || { install_packages python3-pip; py=/usr/bin/python3; }
  local pip='
import sys
from pip._vendor.packaging import markers
host = markers.default_environment
version = sys.argv.pop(1)
markers.default_environment = lambda: dict(host(), python_version=version, python_full_version=version + ".2",
    implementation_version=version + ".2", implementation_name="cpython", platform_python_implementation="CPython")
from pip._internal.cli.main import main
sys.exit(main(sys.argv[1:]))'
  mkdir -p "$t/bin"
  "$py" -c "$pip" "$version" download "${args[@]}" pip setuptools wheel uv ||
    die "cannot download wheels: the first wheelhouse needs the internet (pip's own settings are used)"
  for f in "$@"; do
    "$py" -c "$pip" "$version" download "${args[@]}" -r "$f" || die "cannot download the wheels of $f (binary wheels only)"
  done
  "$py" -c 'import glob, sys, zipfile
z = zipfile.ZipFile(glob.glob(sys.argv[1] + "/uv-*.whl")[0])
open(sys.argv[1] + "/bin/uv", "wb").write(z.read(next(n for n in z.namelist() if n.endswith("/scripts/uv"))))' "$t" ||
    die "no uv in its wheel"
  chmod 755 "$t/bin/uv"
}

hash12() { sha256sum | cut -c1-12; }
base_key() { { echo "$SUITE ${PACKAGES[*]} $(uname -m)"; declare -f make_base; } | hash12; }
requirements() {
  # Hashes there are those of the wheels for Debian 12; wheels.txt names the same packages without.
  { [ "$SUITE" != bookworm ] || find "$HERE/tests/lab/erp" -name 'requirements*.txt' -type f; find "$HERE/tests/lab/wheels.txt" -type f; } \
    2>/dev/null | sort || true
}
wheels_key() {
  { uname -m; python_of "$SUITE"; declare -f make_wheels; for f in "$@"; do echo "== ${f#"$HERE/"}"; cat "$f"; done; } | hash12
}

# Images and wheels that nobody used for a month, unless a machine or a saved state stands on them.
prune_cache() {
  local d
  find "$CACHE" -maxdepth 1 -type d \( -name 'base-*' -o -name 'wheels-*' \) -mtime +30 | while read -r d; do
    grep -qsF "$d" /proc/mounts "$STATE"/labs/*/lower "$STATE"/states/* || rm -rf "$d"
  done
}

# Set BASE and WHEELS, made if they are not there. One build at a time, and under a temporary name until whole.
ensure_image() {
  local req=() t0
  python_of "$SUITE" >/dev/null
  mapfile -t req < <(requirements)
  BASE=$CACHE/base-$(base_key) WHEELS=$CACHE/wheels-$(wheels_key "${req[@]}")
  case $CACHE$STATE in *[:,\\[:space:]]*) die "no colon, comma or space in TSH_LAB_CACHE or TSH_LAB_STATE, please";; esac
  mkdir -p "$CACHE"
  if [ ! -d "$BASE" ] || [ ! -d "$WHEELS" ]; then
    exec 7>"$CACHE/.lock"; flock 7
    if [ ! -d "$BASE" ]; then
      t0=$(now); say "making the base image of $SUITE, once (about a minute)"
      command -v mmdebstrap >/dev/null || install_packages mmdebstrap
      [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || install_packages debian-archive-keyring
      rm -rf "$BASE.tmp"
      if ! make_base "$BASE.tmp" >"$CACHE/base.log" 2>&1; then
        rm -rf "$BASE.tmp"; tail -5 "$CACHE/base.log" >&2
        die "mmdebstrap could not make the image: no internet, or mounts refused? All of it: $CACHE/base.log"
      fi
      mv "$BASE.tmp" "$BASE"; say "base image made in $(( ($(now) - t0) / 1000000000 )) s"
    fi
    if [ ! -d "$WHEELS" ]; then
      t0=$(now); say "filling the wheelhouse (${#req[@]} requirement files)"
      rm -rf "$WHEELS.tmp"; make_wheels "$WHEELS.tmp" "$(python_of "$SUITE")" "${req[@]}"
      mv "$WHEELS.tmp" "$WHEELS"; say "wheelhouse filled in $(( ($(now) - t0) / 1000000000 )) s"
    fi
    prune_cache
    exec 7>&-
  fi
  touch "$BASE" "$WHEELS"                                   # last used
}
