#!/bin/busybox sh
# Process 1 of the initial RAM disk: finds the disk, and hands over to the system on it.
/bin/busybox mount -t devtmpfs devtmpfs /dev
# virtio_ring before virtio: each needs what is before it.
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
    /bin/busybox insmod "/$module.ko"
done
tries=0
while [ ! -b /dev/vda ] && [ "$tries" -lt 100 ]; do
    tries=$((tries + 1))
    /bin/busybox usleep 50000
done
/bin/busybox mount -t ext4 -o rw /dev/vda /root
/bin/busybox umount /dev
exec /bin/busybox switch_root /root /sbin/init
