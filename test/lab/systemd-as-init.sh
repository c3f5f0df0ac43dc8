#!/bin/sh
# A real systemd as PID 1 of namespaces of its own, with the units of this checkout, in the network namespace that it is started in:
#   sh systemd-as-init.sh ROOT NODE CHECKOUT
# ROOT becomes the root of its file tree: its /etc, /run and /var are those of the caller, /usr is the machine's, read-only. With
# `packaged` for CHECKOUT, nothing of ours is there: /usr can be written to, what is written goes to ROOT/usr-changes, and stays. It runs
# until SIGTERM (or SIGKILL, but then an empty control group is left). Below the user namespace of the runner (enter.ts) it has no
# power over the machine but that of the files of uid 0, so whatever belongs to the kernel as a whole is read-only or not there.
set -eu
export ROOT="${1:-$ROOT}" NODE="${2:-$NODE}" CHECKOUT="${3:-$CHECKOUT}"
NAMESPACES='cgroup ipc mnt pid uts'

namespaces() {
  for name in $NAMESPACES; do readlink "/proc/self/ns/$name"; done
}

# In a namespace in which a control group below ours can be made: that of systemd must not be the machine's own.
supervise() {
  mount -t cgroup2 cgroup2 "$ROOT/sys"
  group="$ROOT/sys/eni-lab-$$"
  mkdir "$group"
  (
    echo 0 >"$group/cgroup.procs"
    exec setpriv --pdeathsig KILL \
      unshare --pid --fork --kill-child=KILL --mount --ipc --uts --cgroup -- env STAGE=become sh "$0"
  ) &
  child=$!
  trap 'kill -KILL $child' TERM
  while kill -0 $child 2>/dev/null; do wait $child || code=$?; done
  tries=0
  until find "$group" -depth -type d -exec rmdir {} + 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 500 ] || { echo "removing $group: its processes have not ended after 5 s" >&2; exit 1; }
    sleep 0.01
  done
  exit "${code:-0}"
}

become_init() {
  umount "$ROOT/sys"
  mount --bind "$ROOT" "$ROOT"
  cd "$ROOT"
  mkdir -p dev etc home host/bin oldroot opt/eni-agent proc root run sys tmp usr var
  lay_out_programs
  lay_out_units
  lay_out_kernel
  pivot_root . oldroot
  cd /
  umount -l /oldroot
  assert_harmless
  exec env -i container=eni-lab PATH=/usr/local/bin:/usr/sbin:/usr/bin \
    /usr/lib/systemd/systemd --system --show-status=no --log-level=notice
}

lay_out_programs() {
  for folder in bin sbin lib lib64; do [ ! -L "/$folder" ] || ln -sfn "$(readlink "/$folder")" "$folder"; done
  cp /etc/ld.so.cache /etc/passwd /etc/group /etc/nsswitch.conf etc/
  cp -R /etc/alternatives etc/
  case $CHECKOUT in packaged) lay_out_changeable_programs ;; *) lay_out_checkout ;; esac
}

lay_out_changeable_programs() {
  mkdir -p usr-changes/new usr-changes/work
  mount -t overlay -o "lowerdir=/usr,upperdir=$ROOT/usr-changes/new,workdir=$ROOT/usr-changes/work" overlay usr
  # Where a package looks for it.
  [ -e usr/bin/node ] || touch usr/bin/node
  mount --bind "$NODE" usr/bin/node
}

lay_out_checkout() {
  mount --rbind /usr usr
  mount -o remount,bind,ro usr
  # One more program in /usr/bin, and a node where the unit finds it.
  mount --bind /usr/bin host/bin
  mount -t tmpfs -o mode=755 tmpfs usr/bin
  (cd host/bin && for program in *; do echo "/host/bin/$program"; done) | xargs ln -s -t usr/bin
  ln -s /opt/eni-agent/dist/cli.js usr/bin/eni-agent
  mount -t tmpfs -o mode=755 tmpfs usr/local
  mkdir usr/local/bin
  touch usr/local/bin/node
  mount --bind "$NODE" usr/local/bin/node
  mount --bind "$CHECKOUT" opt/eni-agent
  mount -o remount,bind,ro opt/eni-agent
}

# The machine's own units, generators and udev rules are not there at all: what is not there needs no mask.
lay_out_units() {
  for folder in systemd/system systemd/system-generators systemd/system-preset udev; do
    [ ! -d "usr/lib/$folder" ] || hide "usr/lib/$folder"
  done
  units=usr/lib/systemd/system
  for target in basic final local-fs local-fs-pre multi-user network network-online network-pre paths shutdown slices sockets \
    swap sysinit timers umount; do cp "/$units/$target.target" $units; done
  for unit in systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket; do cp "/$units/$unit" $units; done
  mkdir -p etc/systemd/system
  ln -sfn "/$units/multi-user.target" etc/systemd/system/default.target
  if [ "$CHECKOUT" != packaged ]; then
    cp "$CHECKOUT"/systemd/*.service $units
    systemctl --quiet --root=. enable eni-agent.service eni-agent-boot.service
  fi
  systemctl --quiet --root=. add-wants sockets.target systemd-journald.socket systemd-journald-dev-log.socket
  : >etc/machine-id
}

# What is put there instead lasts as long as the rest of /usr does.
hide() {
  if [ "$CHECKOUT" = packaged ]; then
    mkdir -p "usr-changes/$1"
    mount --bind "usr-changes/$1" "$1"
  else
    mount -t tmpfs -o mode=755 tmpfs "$1"
  fi
}

lay_out_kernel() {
  mount --bind run run
  mount -t proc proc proc
  mount --rbind proc/sys proc/sys
  mount --bind proc/sys/net proc/sys/net
  mount -o remount,bind,ro proc/sys
  for name in irq bus fs sysrq-trigger; do
    [ ! -e proc/$name ] || { mount --bind proc/$name proc/$name && mount -o remount,bind,ro proc/$name; }
  done
  mount -t sysfs -o ro sysfs sys
  mount -t cgroup2 cgroup2 sys/fs/cgroup
  mount -t tmpfs -o mode=755 tmpfs dev
  for device in full null random tty urandom zero; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
  done
  mkdir dev/pts dev/shm
  mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  # systemd's own messages, and the journal's, end where the caller reads.
  ln -s /proc/1/fd/2 dev/console
}

refuse() {
  echo "starting systemd: $1" >&2
  exit 1
}

assert_harmless() {
  [ $$ = 1 ] || refuse 'it would not be PID 1'
  # include/linux/proc_ns.h: PROC_USER_INIT_INO
  [ "$(readlink /proc/self/ns/user)" != 'user:[4026531837]' ] || refuse 'it would have the power of the real root'
  own=$(namespaces)
  for outer in $OUTER; do case "$own" in *"$outer"*) refuse "it would share $outer with the machine" ;; esac; done
  for file in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /sys; do
    [ ! -w $file ] || refuse "it could write to $file"
  done
  [ ! -w /usr ] || [ "$(stat -f -c %T /usr)" = overlayfs ] || refuse 'it could write to /usr of the machine'
  [ "$(stat -f -c %T /dev)" = tmpfs ] || refuse '/dev is that of the machine'
  # Every control group has this file but the first one of the machine.
  [ -e /sys/fs/cgroup/cgroup.type ] || refuse 'it would have the control groups of the machine'
  [ -z "$(ls /oldroot)" ] || refuse 'the root of the machine is still there'
}

case ${STAGE:-} in
  become) become_init ;;
  supervise) supervise ;;
  *) OUTER=$(namespaces) STAGE=supervise exec unshare --cgroup --mount -- sh "$0" ;;
esac
