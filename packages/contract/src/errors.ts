// The one registry of errors. It decides, for every front at once: HTTP status, EC2 code, CLI exit code, whether a
// retry can help and who has to act. A test fails when a code is missing from the reference page.
import { type Static, Type } from 'typebox';

type ErrorKind = {
  /** HTTP status of the problem document. */
  status: number;
  /** Exit code of the command line client. */
  exit: number;
  /** The code that EC2 clients know. */
  ec2: string;
  /** True when the same request can succeed later, unchanged. */
  retryable: boolean;
  /** Who has to do something about it. */
  actor: 'caller' | 'administrator' | 'nobody';
  title: string;
};

const kind = (
  status: number,
  exit: number,
  ec2: string,
  actor: ErrorKind['actor'],
  title: string,
  retryable = false,
): ErrorKind => ({ status, exit, ec2, actor, title, retryable });

/** Exit codes: 1 our bug, 2 bad input, 3 not found, 4 conflict, 5 not allowed, 6 unavailable, 7 no room, 8 operation failed. */
export const errorRegistry = {
  InvalidArgument: kind(400, 2, 'InvalidParameterValue', 'caller', 'The request has a value that cannot be used'),
  InvalidKeyPair: kind(400, 2, 'InvalidKey.Format', 'caller', 'The public key cannot be read'),
  UserDataTooLarge: kind(400, 2, 'InvalidUserData.Malformed', 'caller', 'The user data is too large'),
  ImageUnusable: kind(422, 2, 'InvalidAMIID.Malformed', 'caller', 'The image file cannot be used'),
  ImageSourceUnavailable: kind(502, 8, 'InvalidParameterValue', 'caller', 'The address of the image cannot be read'),
  InstanceTypeTooLarge: kind(422, 2, 'Unsupported', 'caller', 'No host is large enough for this instance type'),
  Unauthenticated: kind(401, 5, 'AuthFailure', 'caller', 'The request is not signed in'),
  Forbidden: kind(403, 5, 'UnauthorizedOperation', 'caller', 'The caller may not do this'),
  NotFound: kind(404, 3, 'InvalidID.NotFound', 'caller', 'There is no such resource'),
  Conflict: kind(409, 4, 'IncorrectState', 'caller', 'The resource is in a state that does not allow this'),
  NameTaken: kind(409, 4, 'InvalidParameter.Duplicate', 'caller', 'The name is taken'),
  InUse: kind(409, 4, 'DependencyViolation', 'caller', 'The resource is in use'),
  IdempotencyMismatch: kind(
    409,
    4,
    'IdempotentParameterMismatch',
    'caller',
    'The idempotency key was used for another request',
  ),
  PreconditionFailed: kind(412, 4, 'IncorrectState', 'caller', 'The resource has changed since it was read'),
  PayloadTooLarge: kind(413, 2, 'RequestEntityTooLarge', 'caller', 'The request is too large'),
  TooManyRequests: kind(429, 6, 'RequestLimitExceeded', 'caller', 'Too many requests', true),
  Internal: kind(500, 1, 'InternalError', 'nobody', 'Virga made a mistake'),
  HostUnavailable: kind(503, 6, 'InsufficientHostCapacity', 'administrator', 'The host cannot be reached', true),
  GuestUnavailable: kind(503, 6, 'IncorrectInstanceState', 'caller', 'The guest does not answer', true),
  GuestRefused: kind(422, 8, 'UnsupportedOperation', 'caller', 'The guest refused the request'),
  SavedMemoryUnusable: kind(500, 8, 'InternalError', 'caller', 'The saved memory of the instance is lost'),
  StoreUnavailable: kind(503, 6, 'Unavailable', 'administrator', 'The database cannot be reached', true),
  BackupStoreUnavailable: kind(503, 6, 'Unavailable', 'administrator', 'The backup store cannot be reached', true),
  BackupUnusable: kind(500, 8, 'InternalError', 'administrator', 'The backup cannot be read back'),
  NoCapacity: kind(507, 7, 'InsufficientInstanceCapacity', 'administrator', 'The cloud has no room for this', true),
  StorageFull: kind(507, 7, 'InsufficientVolumeCapacity', 'administrator', 'The storage is full', true),
  AddressesExhausted: kind(
    507,
    7,
    'InsufficientFreeAddressesInSubnet',
    'administrator',
    'The network has no free address',
    true,
  ),
  PoolUnusable: kind(422, 2, 'Unsupported', 'caller', 'The storage pool cannot be used'),
  HostIncapable: kind(422, 2, 'Unsupported', 'caller', 'The host cannot give a machine what was asked for'),
  HostSettingRefused: kind(422, 2, 'Unsupported', 'caller', 'The host cannot be set like that'),
  VolatileWriteCache: kind(422, 2, 'Unsupported', 'caller', 'A power cut could take acknowledged data back'),
  HypervisorRefused: kind(500, 8, 'InternalError', 'administrator', 'The hypervisor refused the request'),
  OperationFailed: kind(500, 8, 'InternalError', 'administrator', 'The operation failed'),
  Timeout: kind(504, 8, 'RequestTimeout', 'caller', 'It took longer than it may', true),
  ServerUnreachable: kind(503, 6, 'Unavailable', 'caller', 'The server cannot be reached', true),
  PortInUse: kind(500, 6, 'Unavailable', 'administrator', 'The port is in use'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorRegistry;

/** RFC 9457 problem document: what a caller gets instead of a resource. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'urn:virga:error:CODE' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String(),
    detail: Type.String({ description: 'what went wrong, one sentence' }),
    action: Type.String({ description: 'what to do next, one sentence' }),
    field: Type.Optional(Type.String({ description: 'JSON pointer of the field at fault' })),
    retryable: Type.Boolean(),
    requestId: Type.Optional(Type.String()),
  },
  { $id: 'Problem' },
);
export type Problem = Static<typeof Problem>;

export type ErrorDetails = { detail: string; action: string; field?: string | undefined; cause?: unknown };

/** An error of the registry: `detail` says what went wrong, `action` what to do. The cause is for the log only. */
export class VirgaError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly action: string;
  readonly field: string | undefined;

  constructor(code: ErrorCode, { detail, action, field, cause }: ErrorDetails) {
    super(`${detail} ${action}`, cause === undefined ? undefined : { cause });
    this.name = code;
    this.code = code;
    this.detail = detail;
    this.action = action;
    this.field = field;
  }

  get kind(): ErrorKind {
    return errorRegistry[this.code];
  }
}

/** True for an error of the registry, also one that came over the wire. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorRegistry, code);
}

export function toProblem(error: VirgaError, requestId?: string): Problem {
  const { status, title, retryable } = error.kind;
  return {
    type: `urn:virga:error:${error.code}`,
    title,
    status,
    code: error.code,
    detail: error.detail,
    action: error.action,
    ...(error.field === undefined ? {} : { field: error.field }),
    retryable,
    ...(requestId === undefined ? {} : { requestId }),
  };
}

/** The error behind a problem document. A code of a newer server becomes `OperationFailed`. */
export function fromProblem(problem: Pick<Problem, 'code' | 'detail' | 'action' | 'field'>): VirgaError {
  return new VirgaError(isErrorCode(problem.code) ? problem.code : 'OperationFailed', problem);
}
