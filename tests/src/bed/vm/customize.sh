# Run by mmdebstrap in the new root file system, $1, with $KEY as the only key that root is to be entered with and
# $PROVISION as the provisioning script. The bed's own way in is an sshd of its own, without PAM: what the cases do to
# the other cannot shut them out. It listens to the host alone; the other, on the loopback, is the one under test.
set -eu
root=$1
mkdir -p "$root/etc/mfa-bed"
cp "$KEY" "$root/etc/mfa-bed/authorized_keys"
cat >"$root/etc/mfa-bed/sshd_config" <<'CONFIG'
ListenAddress 10.0.2.15:22
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/mfa-bed/authorized_keys
PermitRootLogin prohibit-password
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UseDNS no
MaxSessions 200
PidFile /run/mfa-bed.pid
CONFIG
cat >"$root/etc/systemd/system/mfa-bed.service" <<'UNIT'
[Unit]
Description=The tests' way in
DefaultDependencies=no
Wants=sys-subsystem-net-devices-eth0.device
After=sysinit.target sys-subsystem-net-devices-eth0.device

[Service]
ExecStartPre=/bin/sh -c 'mkdir -p /run/sshd && ip link set eth0 up && ip address add 10.0.2.15/24 dev eth0'
ExecStart=/usr/sbin/sshd -D -f /etc/mfa-bed/sshd_config
# What the cases start must not end with it, nor count against its limits.
KillMode=process
TasksMax=infinity

[Install]
WantedBy=multi-user.target
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -sf ../mfa-bed.service "$root/etc/systemd/system/multi-user.target.wants/mfa-bed.service"
printf 'virtio_net\n' >"$root/etc/modules-load.d/mfa-bed.conf"
printf 'blacklist kvm\nblacklist kvm_amd\nblacklist kvm_intel\nblacklist powernow_k8\n' >"$root/etc/modprobe.d/mfa-bed.conf"
printf 'ListenAddress 127.0.0.1:2222\nPasswordAuthentication no\n' >"$root/etc/ssh/sshd_config.d/20-bed.conf"
printf '127.0.0.1 localhost mfa-bed\n' >"$root/etc/hosts"
echo mfa-bed >"$root/etc/hostname"
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer cron.service getty@tty1.service serial-getty@ttyS0.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
cp "$PROVISION" "$root/usr/local/sbin/provision.sh"
chroot "$root" /usr/local/sbin/provision.sh packages
