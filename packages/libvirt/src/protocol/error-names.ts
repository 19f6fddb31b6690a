// Names of libvirt's error numbers, error domains and levels. Owns the tables only; the numbers are part of libvirt's
// stable ABI (virterror.h), so a list position is the number. A number from a newer libvirt reads 'UNKNOWN'.

const codeNames = [
  ...[
    'OK',
    'INTERNAL_ERROR',
    'NO_MEMORY',
    'NO_SUPPORT',
    'UNKNOWN_HOST',
    'NO_CONNECT',
    'INVALID_CONN',
    'INVALID_DOMAIN',
  ],
  ...['INVALID_ARG', 'OPERATION_FAILED', 'GET_FAILED', 'POST_FAILED', 'HTTP_ERROR', 'SEXPR_SERIAL', 'NO_XEN'],
  ...['XEN_CALL', 'OS_TYPE', 'NO_KERNEL', 'NO_ROOT', 'NO_SOURCE', 'NO_TARGET', 'NO_NAME', 'NO_OS', 'NO_DEVICE'],
  ...['NO_XENSTORE', 'DRIVER_FULL', 'CALL_FAILED', 'XML_ERROR', 'DOM_EXIST', 'OPERATION_DENIED', 'OPEN_FAILED'],
  ...['READ_FAILED', 'PARSE_FAILED', 'CONF_SYNTAX', 'WRITE_FAILED', 'XML_DETAIL', 'INVALID_NETWORK', 'NETWORK_EXIST'],
  ...['SYSTEM_ERROR', 'RPC', 'GNUTLS_ERROR', 'WAR_NO_NETWORK', 'NO_DOMAIN', 'NO_NETWORK', 'INVALID_MAC', 'AUTH_FAILED'],
  ...['INVALID_STORAGE_POOL', 'INVALID_STORAGE_VOL', 'WAR_NO_STORAGE', 'NO_STORAGE_POOL', 'NO_STORAGE_VOL'],
  ...['WAR_NO_NODE', 'INVALID_NODE_DEVICE', 'NO_NODE_DEVICE', 'NO_SECURITY_MODEL', 'OPERATION_INVALID'],
  ...['WAR_NO_INTERFACE', 'NO_INTERFACE', 'INVALID_INTERFACE', 'MULTIPLE_INTERFACES', 'WAR_NO_NWFILTER'],
  ...['INVALID_NWFILTER', 'NO_NWFILTER', 'BUILD_FIREWALL', 'WAR_NO_SECRET', 'INVALID_SECRET', 'NO_SECRET'],
  ...['CONFIG_UNSUPPORTED', 'OPERATION_TIMEOUT', 'MIGRATE_PERSIST_FAILED', 'HOOK_SCRIPT_FAILED'],
  ...['INVALID_DOMAIN_SNAPSHOT', 'NO_DOMAIN_SNAPSHOT', 'INVALID_STREAM', 'ARGUMENT_UNSUPPORTED'],
  ...['STORAGE_PROBE_FAILED', 'STORAGE_POOL_BUILT', 'SNAPSHOT_REVERT_RISKY', 'OPERATION_ABORTED', 'AUTH_CANCELLED'],
  ...['NO_DOMAIN_METADATA', 'MIGRATE_UNSAFE', 'OVERFLOW', 'BLOCK_COPY_ACTIVE', 'OPERATION_UNSUPPORTED', 'SSH'],
  ...['AGENT_UNRESPONSIVE', 'RESOURCE_BUSY', 'ACCESS_DENIED', 'DBUS_SERVICE', 'STORAGE_VOL_EXIST'],
  ...['CPU_INCOMPATIBLE', 'XML_INVALID_SCHEMA', 'MIGRATE_FINISH_OK', 'AUTH_UNAVAILABLE', 'NO_SERVER', 'NO_CLIENT'],
  ...['AGENT_UNSYNCED', 'LIBSSH', 'DEVICE_MISSING', 'INVALID_NWFILTER_BINDING', 'NO_NWFILTER_BINDING'],
  ...['INVALID_DOMAIN_CHECKPOINT', 'NO_DOMAIN_CHECKPOINT', 'NO_DOMAIN_BACKUP', 'INVALID_NETWORK_PORT'],
  ...['NETWORK_PORT_EXIST', 'NO_NETWORK_PORT', 'NO_HOSTNAME', 'CHECKPOINT_INCONSISTENT', 'MULTIPLE_DOMAINS'],
  ...['NO_NETWORK_METADATA'],
] as const;

const domainNames = [
  ...['NONE', 'XEN', 'XEND', 'XENSTORE', 'SEXPR', 'XML', 'DOM', 'RPC', 'PROXY', 'CONF', 'QEMU', 'NET', 'TEST'],
  ...['REMOTE', 'OPENVZ', 'XENXM', 'STATS_LINUX', 'LXC', 'STORAGE', 'NETWORK', 'DOMAIN', 'UML', 'NODEDEV'],
  ...['XEN_INOTIFY', 'SECURITY', 'VBOX', 'INTERFACE', 'ONE', 'ESX', 'PHYP', 'SECRET', 'CPU', 'XENAPI', 'NWFILTER'],
  ...['HOOK', 'DOMAIN_SNAPSHOT', 'AUDIT', 'SYSINFO', 'STREAMS', 'VMWARE', 'EVENT', 'LIBXL', 'LOCKING', 'HYPERV'],
  ...['CAPABILITIES', 'URI', 'AUTH', 'DBUS', 'PARALLELS', 'DEVICE', 'SSH', 'LOCKSPACE', 'INITCTL', 'IDENTITY'],
  ...['CGROUP', 'ACCESS', 'SYSTEMD', 'BHYVE', 'CRYPTO', 'FIREWALL', 'POLKIT', 'THREAD', 'ADMIN', 'LOGGING', 'XENXL'],
  ...['PERF', 'LIBSSH', 'RESCTRL', 'FIREWALLD', 'DOMAIN_CHECKPOINT', 'TPM', 'BPF', 'CH'],
] as const;

const levelNames = ['none', 'warning', 'error'] as const;

/** libvirt's error number by name, without the `VIR_ERR_` prefix, e.g. `'NO_DOMAIN'`. */
export type LibvirtErrorCode = (typeof codeNames)[number] | 'UNKNOWN';
/** The part of libvirt that raised the error, without the `VIR_FROM_` prefix, e.g. `'QEMU'`. */
export type LibvirtErrorDomain = (typeof domainNames)[number] | 'UNKNOWN';
export type LibvirtErrorLevel = (typeof levelNames)[number];

export const errorCodeName = (number: number): LibvirtErrorCode => codeNames[number] ?? 'UNKNOWN';
export const errorDomainName = (number: number): LibvirtErrorDomain => domainNames[number] ?? 'UNKNOWN';
export const errorLevelName = (number: number): LibvirtErrorLevel => levelNames[number] ?? 'error';
