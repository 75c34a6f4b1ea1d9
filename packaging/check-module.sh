#!/bin/sh
# Refuses a pam_mfa.so that must not be loaded into sshd: what it exports, how it is linked, how large it is, what it is
# built from. Usage: check-module.sh FILE
set -eu

module=${1:?usage: check-module.sh FILE}
root=$(cd "$(dirname "$0")/.." && pwd)
failed=0

refuse() {
    echo "check-module: $*" >&2
    failed=1
}

[ -f "$module" ] || { refuse "$module: no such file"; exit 1; }
for tool in nm readelf cargo; do
    command -v "$tool" >/dev/null || { refuse "$tool is needed (Debian: apt-get install binutils; cargo: see README.md)"; exit 1; }
done

# The host's symbols and ours must not meet: only what libpam looks for leaves the object.
expected='pam_sm_acct_mgmt pam_sm_authenticate pam_sm_chauthtok pam_sm_close_session pam_sm_open_session pam_sm_setcred'
exported=$(nm -D --defined-only "$module" | awk '{ print $NF }' | LC_ALL=C sort | tr '\n' ' ')
[ "$exported" = "$expected " ] || refuse "exports \"$exported\", not \"$expected\""

dynamic=$(readelf -dW "$module")
# Unloaded code that is called back crashes the host.
echo "$dynamic" | grep -q 'FLAGS_1.*NODELETE' || refuse "is not linked with -z nodelete"
# A symbol that is missing shows at load time, and the table of them cannot be written to.
echo "$dynamic" | grep -q 'FLAGS_1.*NOW' || refuse "is not linked with -z now"
readelf -lW "$module" | grep -q GNU_RELRO || refuse "is not linked with -z relro"
readelf -lW "$module" | grep -q 'GNU_STACK.*RWE' && refuse "wants an executable stack"
echo "$dynamic" | grep -Eq 'RPATH|RUNPATH|TEXTREL' && refuse "has a search path or text relocations"

for library in $(echo "$dynamic" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    case $library in
        libpam.so.0 | libgcc_s.so.1 | libc.so.6 | ld-linux*.so.* | ld64.so.*) ;;
        *) refuse "needs $library" ;;
    esac
done

size=$(wc -c <"$module")
[ "$size" -le 1048576 ] || refuse "is $size bytes, more than 1 MiB"

# Failpoints are for the suite that proves a panic denies.
if grep -q 'failpoint' "$module"; then refuse "is built with the feature \"failpoints\""; fi

# Crates that start threads, fork or install signal handlers.
tree=$(cd "$root" && cargo tree --locked -p pam_mfa -e normal --prefix none)
for crate in tokio async-io async-process async-executor blocking signal-hook signal-hook-registry wait-timeout polling; do
    if echo "$tree" | grep -q "^$crate v"; then refuse "depends on $crate"; fi
done
# Whatever feature of zbus brings a thread along is off.
features=$(cd "$root" && cargo tree --locked -p pam_mfa -e normal,features --prefix none)
for feature in default-rt tokio service ibus unixexec; do
    if echo "$features" | grep -q "^zbus feature \"$feature\""; then refuse "builds zbus with \"$feature\""; fi
done

# `unsafe` lives in one file; comments elsewhere may speak of it.
elsewhere=$(grep -rnw unsafe "$root/pam_mfa/src" --include='*.rs' | grep -v '/ffi\.rs:' | grep -Ev ':[0-9]+: *//' || true)
[ -z "$elsewhere" ] || refuse "unsafe outside ffi.rs:
$elsewhere"

[ "$failed" -eq 0 ] || exit 1
echo "check-module: $module: $size bytes, exports the six entry points, $(echo "$tree" | sort -u | grep -c ' v') crates"
