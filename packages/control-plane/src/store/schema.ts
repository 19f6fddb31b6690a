// All tables, as types. Each module writes only its own; the migrations are the truth about constraints.
import type { BackupTables } from './backup-tables.ts';
import type { BenchmarkTables } from './benchmark-tables.ts';
import type { ComputeTables } from './compute-tables.ts';
import type { ConsoleTables } from './console-tables.ts';
import type { CpuTables } from './cpu-tables.ts';
import type { FoundationTables } from './foundation-tables.ts';
import type { ImageBuildTables } from './image-build-tables.ts';
import type { ImageTables } from './image-tables.ts';
import type { InteropTables } from './interop-tables.ts';
import type { PoolTables } from './pool-tables.ts';
import type { SnapshotTables } from './snapshot-tables.ts';
import type { TemplateTables } from './template-tables.ts';
import type { TuningTables } from './tuning-tables.ts';
import type { UsageTables } from './usage-tables.ts';
import type { VolumeTables } from './volume-tables.ts';

export type Database = FoundationTables &
  BackupTables &
  BenchmarkTables &
  ComputeTables &
  ConsoleTables &
  ImageBuildTables &
  ImageTables &
  InteropTables &
  PoolTables &
  SnapshotTables &
  TemplateTables &
  VolumeTables &
  CpuTables &
  TuningTables &
  UsageTables;
