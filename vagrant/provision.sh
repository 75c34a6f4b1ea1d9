#!/bin/sh
# Makes of a bare Debian 12 a machine with everything in it: `vagrant up` runs all of this, the end-to-end tests run it
# step by step on their virtual machine.
#
#   provision.sh all [SOURCE]    every step; SOURCE is the source tree (/vagrant)
#   provision.sh packages        what Debian has of it
#   provision.sh product TREE    the product, from what `make install DESTDIR=TREE PREFIX=/usr` made
#   provision.sh keys PROGRAM    the virtual security keys; PROGRAM is vkey, from tests/vkey
#   provision.sh demo            the user demo, who has an authenticator
#
# Every step can be run again. None needs the network but `packages`, and `all` where it has to build.
set -eu

step() { printf '== %s\n' "$*"; }

packages() {
    step packages
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -q -y --no-install-recommends openssh-server openssh-client sudo login passwd util-linux iproute2 \
        procps dbus udev polkitd pkexec libpam-systemd fido2-tools libpam-u2f pamu2fcfg oathtool pamtester
}

# In a tree of its own, because the one on the host may be read-only or built for another system.
build() {
    step "build (the first time ten minutes and more)"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -q -y --no-install-recommends make curl ca-certificates binutils gcc libc6-dev libpam0g-dev
    wanted=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' "$1/rust-toolchain.toml")
    export HOME=/root PATH="/root/.cargo/bin:$PATH"
    command -v cargo >/dev/null 2>&1 ||
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --default-toolchain "$wanted"
    mkdir -p /var/tmp/mfa
    tar -C "$1" --exclude=./target --exclude=./.git --exclude=./vagrant/.vagrant -cf - . | tar -C /var/tmp/mfa -xf -
    make -C /var/tmp/mfa build
    rm -rf /var/tmp/mfa/tree
    make -C /var/tmp/mfa install DESTDIR=/var/tmp/mfa/tree PREFIX=/usr
    (cd /var/tmp/mfa && cargo build --release --locked -p vkey)
}

product() {
    step product
    for top in etc usr; do
        [ ! -d "$1/$top" ] || cp -R --preserve=mode,links --no-preserve=ownership "$1/$top/." "/$top/"
    done
    /usr/share/mfa/post-install
}

# Two keys, blue and red. Blue is plugged in at boot; `systemctl start vkey@red` plugs in the other.
keys() {
    step keys
    [ "$1" = /usr/local/bin/vkey ] || install -m 0755 "$1" /usr/local/bin/vkey
    echo uhid >/etc/modules-load.d/vkey.conf
    cat >/etc/systemd/system/vkey@.service <<'UNIT'
[Unit]
Description=Virtual security key %i
After=systemd-modules-load.service

[Service]
ExecStart=/usr/local/bin/vkey run %i --state /var/lib/vkey/%i
# Returns once the key answers.
ExecStartPost=/usr/local/bin/vkey tell %i status
StateDirectory=vkey
RuntimeDirectory=vkey
RuntimeDirectoryPreserve=yes

[Install]
WantedBy=multi-user.target
UNIT
    systemctl daemon-reload
    systemctl enable --now vkey@blue.service
}

demo() {
    step demo
    id demo >/dev/null 2>&1 || useradd --create-home --shell /bin/bash --groups sudo demo
    echo 'demo:demo' | chpasswd
    # The authenticator's secret is for the owner of the machine to read: nothing is real here.
    [ -e /root/demo.uri ] || {
        mfactl user enroll demo totp --json >/root/demo.new
        sed -n 's/.*"uri": *"\([^"]*\)".*/\1/p' /root/demo.new >/root/demo.uri
        rm -f /root/demo.new
    }
    [ -s /root/demo.uri ] || { echo "provision: no secret came of enrolling demo" >&2; exit 1; }
    cat >/usr/local/bin/demo-code <<'CODE'
#!/bin/sh
# The code that demo's authenticator shows now.
exec oathtool --totp --base32 "$(sudo sed -n 's/.*[?&]secret=\([A-Z2-7]*\).*/\1/p' /root/demo.uri)"
CODE
    chmod 0755 /usr/local/bin/demo-code
    cp /usr/share/mfa/pam/sudo /etc/pam.d/sudo
    # Vagrant's own way in stays open: it is how the machine is managed.
    echo 'vagrant ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/vagrant
    chmod 0440 /etc/sudoers.d/vagrant
}

everything() {
    packages
    build "$1"
    product /var/tmp/mfa/tree
    keys /var/tmp/mfa/target/release/vkey
    demo
    step "ready: README.md in vagrant/ says what to try"
}

case "${1:-}" in
    all) everything "${2:-/vagrant}" ;;
    packages | demo) "$1" ;;
    product | keys) "$1" "$2" ;;
    *) sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
