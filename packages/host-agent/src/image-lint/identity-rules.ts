// What makes a machine that one and no other: every copy would be the same one.
import { fine, naming, pathsOf, type Rule, removal } from './rule.ts';

const machineId: Rule = {
  id: 'machine-id',
  title: 'machine id',
  why: 'Copies with one id get one DHCP lease and one journal; systemd makes an id where the file is empty.',
  async look({ root }) {
    const id = (await root.read('/etc/machine-id'))?.toString().trim();
    const path = '/var/lib/dbus/machine-id';
    const ofDbus = (await root.linkStat(path))?.kind === 'file' ? await root.read(path) : undefined;
    const isSet = id !== undefined && id !== '' && id !== 'uninitialized';
    if (!isSet && !ofDbus?.length) {
      return fine(`/etc/machine-id is ${id === undefined ? 'not there' : id === '' ? 'empty' : id}.`);
    }
    return {
      verdict: 'failure',
      seen: isSet ? `/etc/machine-id is ${id}.` : `${path} is ${ofDbus?.toString().trim()}.`,
      repair: {
        says: 'Empties it, and removes the copy of D-Bus.',
        async act() {
          if (isSet) await root.write('/etc/machine-id', '', { mode: 0o444 });
          if (ofDbus) await root.remove(path);
          return 'Emptied /etc/machine-id.';
        },
      },
    };
  },
};

const sshHostKeys: Rule = {
  id: 'ssh-host-keys',
  title: 'SSH host keys',
  why: 'Whoever has one copy can pretend to be every other.',
  async look(guest) {
    const found = [
      ...(await guest.named('/etc/ssh', /^ssh_host_.*key(\.pub)?$/)),
      ...(await guest.named('/etc/dropbear', /_host_key(\.pub)?$/)),
    ];
    if (found.length === 0) return fine('There is no host key in /etc/ssh and /etc/dropbear.');
    const paths = pathsOf(found);
    return { verdict: 'failure', seen: `There are ${naming(paths)}.`, repair: removal(guest.root, paths) };
  },
};

const keyUnit = '/etc/systemd/system/virga-host-keys.service';
const keyUnitText = `# Makes the SSH host keys that an image has none of.
[Unit]
Description=SSH host keys of this machine
Before=ssh.service sshd.service
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
`;

const keysAreMade: Rule = {
  id: 'ssh-keys-made',
  title: 'new SSH host keys',
  why: 'Without host keys the SSH server does not start, and nobody can log in.',
  async look(guest) {
    const server = await guest.firstOf(['/usr/sbin/sshd', '/usr/sbin/dropbear']);
    if (server === undefined) return fine('There is no SSH server.');
    const maker = await guest.firstOf([
      '/usr/bin/cloud-init',
      '/usr/libexec/virga/configure',
      '/usr/libexec/openssh/sshd-keygen',
      '/usr/libexec/ssh/sshd-gen-keys-start',
      '/usr/sbin/sshd-gen-keys-start',
      '/usr/lib/systemd/system/sshdgenkeys.service',
      // Of OpenRC, whose script makes them.
      '/etc/init.d/sshd',
      keyUnit,
    ]);
    if (maker !== undefined) return fine(`${maker} makes host keys at the first boot.`);
    const canBe = server === '/usr/sbin/sshd' && (await guest.hasSystemd());
    return {
      verdict: 'warning',
      seen: `${server} is there, and nothing that makes host keys for it at the first boot.`,
      ...(canBe && {
        repair: {
          says: 'Adds a unit that makes them before the server starts.',
          async act() {
            await guest.root.write(keyUnit, keyUnitText, { mode: 0o644 });
            await guest.root.link('/etc/systemd/system/multi-user.target.wants/virga-host-keys.service', keyUnit);
            return `Added ${keyUnit}.`;
          },
        },
      }),
    };
  },
};

const randomSeed: Rule = {
  id: 'random-seed',
  title: 'random seed',
  why: 'Copies that begin with one seed may choose the same secrets.',
  async look(guest) {
    const places = [
      '/var/lib/systemd/random-seed',
      '/var/lib/systemd/credential.secret',
      '/var/lib/urandom/random-seed',
      '/var/lib/random-seed',
      '/var/lib/misc/random-seed',
    ];
    const found = pathsOf(await guest.named('/var/lib/seedrng', /^seed\./));
    for (const path of places) if (await guest.root.linkStat(path)) found.push(path);
    if (found.length === 0) return fine('There is no saved seed.');
    return { verdict: 'failure', seen: `There is ${naming(found)}.`, repair: removal(guest.root, found) };
  },
};

const programIds: Rule = {
  id: 'program-ids',
  title: 'ids of programs',
  why: 'Servers that count machines, or tell them apart, take every copy for the same one.',
  async look(guest) {
    const places = ['/var/lib/zypp/AnonymousUniqueId', '/var/lib/yum/uuid', '/etc/nvme/hostid', '/etc/nvme/hostnqn'];
    const found: string[] = [];
    for (const path of places) if (await guest.root.linkStat(path)) found.push(path);
    if (found.length === 0) return fine('No package manager and no NVMe has an id of its own.');
    return { verdict: 'warning', seen: `There is ${naming(found)}.`, repair: removal(guest.root, found) };
  },
};

export const identityRules: readonly Rule[] = [machineId, sshHostKeys, keysAreMade, randomSeed, programIds];
