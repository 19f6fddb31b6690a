// Every command of the client, in the order in which help shows them. The executable adds those of the server.
import type { CommandDefinition } from '../command.ts';
import { adopt } from './adopt.ts';
import { createApiKey } from './api-keys/create-api-key.ts';
import { deleteApiKey } from './api-keys/delete-api-key.ts';
import { listApiKeys } from './api-keys/list-api-keys.ts';
import { attach } from './attach.ts';
import { checkBackupStore } from './backup-stores/check-backup-store.ts';
import { createBackupStore } from './backup-stores/create-backup-store.ts';
import { deleteBackupStore } from './backup-stores/delete-backup-store.ts';
import { importBackupStore } from './backup-stores/import-backup-store.ts';
import { listBackupStores } from './backup-stores/list-backup-stores.ts';
import { showBackupStore } from './backup-stores/show-backup-store.ts';
import { showBackupStoreKey } from './backup-stores/show-backup-store-key.ts';
import { createBackup } from './backups/create-backup.ts';
import { deleteBackup } from './backups/delete-backup.ts';
import { listBackupSchedules } from './backups/list-backup-schedules.ts';
import { listBackups } from './backups/list-backups.ts';
import { mergeBackup } from './backups/merge-backup.ts';
import { readBackupFiles } from './backups/read-backup-files.ts';
import { restoreBackup } from './backups/restore-backup.ts';
import { scheduleBackups } from './backups/schedule-backups.ts';
import { showBackup } from './backups/show-backup.ts';
import { unscheduleBackups } from './backups/unschedule-backups.ts';
import { verifyBackup } from './backups/verify-backup.ts';
import { ejectDisc } from './cdrom/eject-disc.ts';
import { insertDisc } from './cdrom/insert-disc.ts';
import { clone } from './clone.ts';
import { completion } from './completion.ts';
import { consoleCommand } from './console.ts';
import { copy } from './copy.ts';
import { deleteInstances } from './delete.ts';
import { destroy } from './destroy.ts';
import { detach } from './detach.ts';
import { cancelDiskMove, moveDisk } from './disks/move-disk.ts';
import { setDisk } from './disks/set-disk.ts';
import { drift } from './drift.ts';
import { edit } from './edit.ts';
import { events } from './events.ts';
import { exec } from './exec.ts';
import { addGuestKey } from './guest/add-guest-key.ts';
import { freezeGuest } from './guest/freeze-guest.ts';
import { setGuestPassword } from './guest/set-guest-password.ts';
import { showGuest } from './guest/show-guest.ts';
import { thawGuest } from './guest/thaw-guest.ts';
import { setHardware } from './hardware/set-hardware.ts';
import { hibernate } from './hibernate.ts';
import { allowVolatileWriteback, forbidVolatileWriteback } from './hosts/allow-volatile-writeback.ts';
import { benchHost } from './hosts/bench-host.ts';
import { benchReportCommand } from './hosts/bench-report.ts';
import { checkHost } from './hosts/check-host.ts';
import { cpuBaseline } from './hosts/cpu-baseline.ts';
import { hostCpus } from './hosts/host-cpus.ts';
import { hostUsage } from './hosts/host-usage.ts';
import { listBenchmarks } from './hosts/list-benchmarks.ts';
import { listDisks } from './hosts/list-disks.ts';
import { listDomains } from './hosts/list-domains.ts';
import { listHosts } from './hosts/list-hosts.ts';
import { reserveCpus } from './hosts/reserve-cpus.ts';
import { setHost } from './hosts/set-host.ts';
import { showHost } from './hosts/show-host.ts';
import { showMemory } from './hosts/show-memory.ts';
import { tuneHost } from './hosts/tune-host.ts';
import { usageReport } from './hosts/usage-report.ts';
import { buildImage } from './images/build-image.ts';
import { buildRecord } from './images/build-record.ts';
import { cancelImport } from './images/cancel-import.ts';
import { coolImage } from './images/cool-image.ts';
import { createImage } from './images/create-image.ts';
import { deleteImage } from './images/delete-image.ts';
import { importImage } from './images/import-image.ts';
import { lintImage } from './images/lint-image.ts';
import { listCatalog } from './images/list-catalog.ts';
import { listImages } from './images/list-images.ts';
import { pullImage } from './images/pull-image.ts';
import { registerImage } from './images/register-image.ts';
import { sealImage } from './images/seal-image.ts';
import { shareImage } from './images/share-image.ts';
import { showImage } from './images/show-image.ts';
import { warmImage } from './images/warm-image.ts';
import { createKey } from './keys/create-key.ts';
import { deleteKey } from './keys/delete-key.ts';
import { importKey } from './keys/import-key.ts';
import { listKeys } from './keys/list-keys.ts';
import { launch } from './launch.ts';
import { limitDiskCommand } from './limits/limit-disk.ts';
import { limitNic } from './limits/limit-nic.ts';
import { list } from './list.ts';
import { log } from './log.ts';
import { login } from './login.ts';
import { logout } from './logout.ts';
import { listMembers } from './members/list-members.ts';
import { removeMember } from './members/remove-member.ts';
import { setMember } from './members/set-member.ts';
import { createNetwork } from './networks/create-network.ts';
import { deleteNetwork } from './networks/delete-network.ts';
import { listNetworks } from './networks/list-networks.ts';
import { showNetwork } from './networks/show-network.ts';
import { addNic } from './nics/add-nic.ts';
import { listNics } from './nics/list-nics.ts';
import { removeNic } from './nics/remove-nic.ts';
import { nmi } from './nmi.ts';
import { listOperations } from './operations/list-operations.ts';
import { showOperation } from './operations/show-operation.ts';
import { waitForOperations } from './operations/wait-for-operations.ts';
import { pin } from './pin.ts';
import { createPool } from './pools/create-pool.ts';
import { deletePool } from './pools/delete-pool.ts';
import { listPools } from './pools/list-pools.ts';
import { setPool } from './pools/set-pool.ts';
import { showPool } from './pools/show-pool.ts';
import { listProfiles } from './profiles/list-profiles.ts';
import { useProfile } from './profiles/use-profile.ts';
import { createProject } from './projects/create-project.ts';
import { deleteProject } from './projects/delete-project.ts';
import { listProjects } from './projects/list-projects.ts';
import { reboot } from './reboot.ts';
import { release } from './release.ts';
import { rename } from './rename.ts';
import { reset } from './reset.ts';
import { resize } from './resize.ts';
import { resume } from './resume.ts';
import { addSchedule } from './schedules/add-schedule.ts';
import { listSchedules } from './schedules/list-schedules.ts';
import { removeSchedule } from './schedules/remove-schedule.ts';
import { screenshot } from './screenshot.ts';
import { sendKey } from './send-key.ts';
import { set } from './set.ts';
import { show } from './show.ts';
import { cancelSnapshotDeletion } from './snapshots/cancel-snapshot-deletion.ts';
import { createSnapshot } from './snapshots/create-snapshot.ts';
import { deleteSnapshot } from './snapshots/delete-snapshot.ts';
import { listSnapshotSchedules } from './snapshots/list-snapshot-schedules.ts';
import { listSnapshots } from './snapshots/list-snapshots.ts';
import { protectSnapshot } from './snapshots/protect-snapshot.ts';
import { revertSnapshot } from './snapshots/revert-snapshot.ts';
import { scheduleSnapshots } from './snapshots/schedule-snapshots.ts';
import { showSnapshot } from './snapshots/show-snapshot.ts';
import { unscheduleSnapshots } from './snapshots/unschedule-snapshots.ts';
import { ssh } from './ssh.ts';
import { start } from './start.ts';
import { stats } from './stats.ts';
import { stop } from './stop.ts';
import { suspend } from './suspend.ts';
import { createType } from './types/create-type.ts';
import { deleteType } from './types/delete-type.ts';
import { listTypes } from './types/list-types.ts';
import { usageCommand } from './usage.ts';
import { createUser } from './users/create-user.ts';
import { deleteUser } from './users/delete-user.ts';
import { listUsers } from './users/list-users.ts';
import { vnc } from './vnc.ts';
import { createVolumeType } from './volume-types/create-volume-type.ts';
import { deleteVolumeType } from './volume-types/delete-volume-type.ts';
import { listVolumeTypes } from './volume-types/list-volume-types.ts';
import { createVolume } from './volumes/create-volume.ts';
import { deleteVolume } from './volumes/delete-volume.ts';
import { listVolumes } from './volumes/list-volumes.ts';
import { cancelVolumeMove, moveVolume } from './volumes/move-volume.ts';
import { resizeVolume } from './volumes/resize-volume.ts';
import { renameVolume, setVolume } from './volumes/set-volume.ts';
import { showVolume } from './volumes/show-volume.ts';
import { wake } from './wake.ts';
import { whoami } from './whoami.ts';
import { xml } from './xml.ts';

export const commandTable: readonly CommandDefinition[] = [
  launch,
  clone,
  list,
  show,
  start,
  stop,
  suspend,
  resume,
  hibernate,
  wake,
  reboot,
  reset,
  resize,
  pin,
  destroy,
  rename,
  set,
  addSchedule,
  listSchedules,
  removeSchedule,
  setHardware,
  insertDisc,
  ejectDisc,
  attach,
  detach,
  listNics,
  addNic,
  removeNic,
  limitDiskCommand,
  limitNic,
  setDisk,
  moveDisk,
  cancelDiskMove,
  deleteInstances,
  adopt,
  release,
  stats,
  usageCommand,
  ssh,
  exec,
  copy,
  consoleCommand,
  log,
  vnc,
  screenshot,
  sendKey,
  nmi,
  xml,
  edit,
  drift,
  showGuest,
  freezeGuest,
  thawGuest,
  setGuestPassword,
  addGuestKey,
  listImages,
  showImage,
  buildImage,
  createImage,
  lintImage,
  sealImage,
  buildRecord,
  warmImage,
  coolImage,
  listCatalog,
  pullImage,
  importImage,
  cancelImport,
  registerImage,
  shareImage,
  deleteImage,
  listVolumes,
  showVolume,
  createVolume,
  resizeVolume,
  moveVolume,
  cancelVolumeMove,
  renameVolume,
  setVolume,
  deleteVolume,
  listSnapshots,
  showSnapshot,
  createSnapshot,
  revertSnapshot,
  protectSnapshot,
  deleteSnapshot,
  cancelSnapshotDeletion,
  scheduleSnapshots,
  listSnapshotSchedules,
  unscheduleSnapshots,
  listVolumeTypes,
  createVolumeType,
  deleteVolumeType,
  listPools,
  showPool,
  createPool,
  setPool,
  deletePool,
  listBackups,
  showBackup,
  createBackup,
  restoreBackup,
  readBackupFiles,
  verifyBackup,
  mergeBackup,
  deleteBackup,
  scheduleBackups,
  listBackupSchedules,
  unscheduleBackups,
  listBackupStores,
  showBackupStore,
  createBackupStore,
  checkBackupStore,
  importBackupStore,
  showBackupStoreKey,
  deleteBackupStore,
  listNetworks,
  showNetwork,
  createNetwork,
  deleteNetwork,
  listTypes,
  createType,
  deleteType,
  listHosts,
  showHost,
  checkHost,
  setHost,
  showMemory,
  tuneHost,
  benchHost,
  benchReportCommand,
  listBenchmarks,
  listDisks,
  allowVolatileWriteback,
  forbidVolatileWriteback,
  hostCpus,
  reserveCpus,
  cpuBaseline,
  listDomains,
  hostUsage,
  usageReport,
  listKeys,
  createKey,
  importKey,
  deleteKey,
  listOperations,
  showOperation,
  waitForOperations,
  events,
  login,
  logout,
  whoami,
  listProfiles,
  useProfile,
  listProjects,
  createProject,
  deleteProject,
  listMembers,
  setMember,
  removeMember,
  listUsers,
  createUser,
  deleteUser,
  listApiKeys,
  createApiKey,
  deleteApiKey,
  completion,
];

/** One line for each word that several commands begin with. */
export const groupSummaries: Readonly<Record<string, string>> = {
  schedule: 'What instances do by the clock',
  hardware: 'What machines are made of',
  cdrom: 'Discs in the drives of instances',
  nics: 'Network interfaces of instances',
  disks: 'How disks of instances are read and written, and where they lie',
  limit: 'Rates of disks and network interfaces',
  guest: 'Inside of an instance, through its guest agent',
  images: 'Disks that instances are cloned from, and discs for their drives',
  pools: 'Where volumes lie',
  'volume-types': 'Classes of volumes',
  snapshots: 'What is kept of instances, to go back to',
  volumes: 'Disks that outlive the instances that have them',
  backups: 'What instances had on their disks, kept elsewhere',
  'backup-stores': 'Where backups are kept',
  networks: 'Networks that instances are attached to',
  types: 'Sizes that instances come in',
  hosts: 'Machines that the cloud runs on',
  keys: 'SSH keys that may log in to instances',
  operations: 'What Virga does after it has answered',
  profiles: 'Logins that this machine remembers',
  projects: 'What instances and everything else belong to',
  members: 'Who may work in the project',
  users: 'Who may sign in to the cloud',
  'api-keys': 'What programs sign in with',
};
