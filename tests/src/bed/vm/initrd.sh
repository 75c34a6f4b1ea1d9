# Makes the initial RAM disk $3 and the kernel $4 of the root file system $1; $2 is its process 1. Debian's own would do
# as well, and take twice as long to boot where the processor is emulated.
set -eu
root=$1 init=$2 ramdisk=$3 kernel=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/dev" "$work/root"
cp "$(command -v busybox)" "$work/bin/busybox"
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
    cp "$(find "$root/lib/modules" -name "$module.ko")" "$work/"
done
install -m 0755 "$init" "$work/init"
(cd "$work" && find . | cpio --quiet -o -H newc | gzip -1) >"$ramdisk"
cp "$root"/boot/vmlinuz-*-cloud-amd64 "$kernel"
rm -f "$root"/boot/initrd.img* "$root"/initrd.img*
