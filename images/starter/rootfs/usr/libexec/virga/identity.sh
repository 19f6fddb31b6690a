# What makes a machine one instance and no other: names, machine id, host key, who may log in. Needs console.sh and seed.sh;
# $seed is the folder of the seed. Each part may be done again.
state=/var/lib/virga
host_key=/etc/dropbear/dropbear_ed25519_host_key
instance=

# True when the seed, which has been read, is of another instance than the one that this disk was last.
is_new_instance() {
  instance=$(value meta-data instance-id)
  [ ! -e "$state/instance-id" ] || { [ -n "$instance" ] && [ "$instance" != "$(cat "$state/instance-id")" ]; }
}

# Nothing of an earlier life may stay: a copy of this disk is another machine.
forget_identity() { rm -rf "$state"/* /etc/dropbear/*_host_key /root/.ssh /etc/machine-id; }

# take_names NAME: user data may know better.
take_names() {
  host_name=$(value user-data hostname)
  [ -n "$host_name" ] || host_name=$(value user-data fqdn)
  [ -n "$host_name" ] || host_name=$1
  case ${host_name:=starter} in
    *[!A-Za-z0-9.-]* | -* | .*) say "the host name $host_name is not one; this stays starter" && host_name=starter ;;
  esac
  short=${host_name%%.*}
  echo "$short" >/etc/hostname
  echo "$short" >/proc/sys/kernel/hostname
  [ "$short" = "$host_name" ] || host_name="$host_name $short"
  printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 %s\n' "$host_name" >/etc/hosts
  read -r machine_id </proc/sys/kernel/random/uuid
  echo "${machine_id//-/}" >/etc/machine-id
}

# Standard input has the keys of who may log in, one a line; user data may have more.
take_keys() {
  mkdir -m 700 -p /root/.ssh
  { cat; values user-data ssh_authorized_keys; } | grep -v '^$' | sort -u >/root/.ssh/authorized_keys
  chmod 600 /root/.ssh/authorized_keys
}

make_host_key() {
  dropbearkey -t ed25519 -f "$host_key" >"$state/host-key" 2>&1 ||
    say "there is no host key, and so no SSH: $(tail -n 1 "$state/host-key")"
}

# Only now is this machine the new one: a power failure before this begins again.
finish_identity() {
  sync
  echo "$instance" >"$state/instance-id.partial"
  sync
  mv "$state/instance-id.partial" "$state/instance-id"
}

# Returns when SSH is served: the socket listens (state 0A, port 22).
wait_for_ssh() {
  tries=100
  until grep -q -s ':0016 0*:0000 0A ' /proc/net/tcp /proc/net/tcp6; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { say 'ssh is not served' && return 1; }
    sleep 0.1
  done
}

# In the words of cloud-init, so that one reader of consoles learns the keys of any image.
say_ready() {
  printf '%s\n' '-----BEGIN SSH HOST KEY KEYS-----' "$(grep '^ssh-' "$state/host-key")" '-----END SSH HOST KEY KEYS-----' >/dev/console
  /usr/libexec/virga/how-to-log-in | while read -r line; do say "$line"; done
  : >/run/virga/configured
  say "ready ($(hostname), instance ${instance:-none}, $(cut -d' ' -f1 /proc/uptime) s after the kernel)"
}
