// Templates and waiting copies of one host, brought to what their rows say. One act at a time, and copies are prepared only
// while no instance of the host is being worked on: what waits for later launches must not slow those of now. What cannot
// be done is written down and tried again later; a host that is away is waited for.
import { VirgaError } from '@virga/contract/errors';
import { newId } from '@virga/contract/ids';
import { sql } from 'kysely';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { backOffMs } from '../../reconcile/back-off.ts';
import { inTransaction, storeError } from '../../store/database.ts';
import { failureOf } from '../../store/failure.ts';
import { provideImage } from '../images/image-hosts.ts';
import { templateDomain } from './template.ts';
import { desiredShellOf, desiredTemplateOf, type TemplateRow } from './template-store.ts';

/** How soon a busy host is looked at again. */
const busyMs = 500;

export class TemplateReconciler {
  readonly #deps: Deps;
  readonly #access: SystemAccess;
  readonly #host: RegisteredHost;
  readonly #ending = new AbortController();
  #work: Promise<void> = Promise.resolve();
  /** One look is under way, and another is to follow. */
  #isRunning = false;
  #isWoken = false;
  #later: NodeJS.Timeout | undefined;

  constructor(deps: Deps, access: SystemAccess, host: RegisteredHost) {
    this.#deps = deps;
    this.#access = access;
    this.#host = host;
  }

  wake(): void {
    this.#isWoken = true;
    if (this.#isRunning || this.#ending.signal.aborted) return;
    this.#isRunning = true;
    this.#work = this.#run();
  }

  async close(): Promise<void> {
    this.#ending.abort();
    clearTimeout(this.#later);
    await this.#work;
  }

  #wakeAfter(ms: number): void {
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.wake(), ms);
  }

  async #run(): Promise<void> {
    while (this.#isWoken && !this.#ending.signal.aborted) {
      this.#isWoken = false;
      try {
        await this.#look();
      } catch (error) {
        if (this.#ending.signal.aborted) break;
        this.#deps.log.warn({ err: error, host: this.#host.name }, 'looking after templates failed');
        this.#wakeAfter(this.#deps.settings.reconcilePeriodMs);
      }
    }
    this.#isRunning = false;
  }

  async #look(): Promise<void> {
    const rows = await this.#deps.db
      .selectFrom('image_templates')
      .selectAll()
      .where('host_id', '=', this.#host.id)
      .orderBy('created_at')
      .execute();
    for (const row of rows.filter(({ desired }) => desired === 'dropped')) await this.#drop(row);
    for (const row of rows.filter(({ desired }) => desired === 'kept')) {
      if (row.state === 'ready' || (await this.#make(row))) await this.#fill(row);
    }
  }

  /** @returns whether it can be copied now */
  async #make(row: TemplateRow): Promise<boolean> {
    const { db, cloudId, clock } = this.#deps;
    const waitMs = (row.retry_at?.getTime() ?? 0) - clock.now().getTime();
    if (waitMs > 0) {
      this.#wakeAfter(waitMs);
      return false;
    }
    const { signal } = this.#ending;
    const apply = () => this.#host.agent.applyTemplate(desiredTemplateOf(row, cloudId), { signal });
    try {
      const made = await apply().catch(async (error) => {
        if (!(error instanceof VirgaError) || error.code !== 'NotFound') throw error;
        await provideImage(this.#deps, this.#host, row.image_id, signal);
        return apply();
      });
      if (made.state === 'stale') {
        await this.#replace(row);
        return false;
      }
    } catch (error) {
      await this.#recordFailure(row, error);
      return false;
    }
    const ready = { state: 'ready', failure: null, failures: 0, retry_at: null } as const;
    await inTransaction(db, async (tx) => {
      const kept = tx.updateTable('image_templates').set(ready).where('id', '=', row.id).where('desired', '=', 'kept');
      const updated = await kept.returning('id').executeTakeFirst();
      if (updated)
        await this.#tell(tx, row, 'image.warm', `A guest of type ${row.type} is kept on host ${this.#host.name}.`);
    });
    return true;
  }

  /** Its memory is of no use any more: another takes its place. */
  async #replace(row: TemplateRow): Promise<void> {
    const { id: _, created_at: __, state: ___, ...same } = row;
    await inTransaction(this.#deps.db, async (tx) => {
      const dropped = { desired: 'dropped', pool: 0 } as const;
      const old = tx.updateTable('image_templates').set(dropped).where('id', '=', row.id).where('desired', '=', 'kept');
      if (!(await old.returning('id').executeTakeFirst())) return;
      const fresh = { id: newId('template'), failure: null, failures: 0, retry_at: null };
      await tx
        .insertInto('image_templates')
        .values({ ...same, ...fresh })
        .execute();
      const why = `The guest of type ${row.type} on host ${this.#host.name} is made anew: the host has changed.`;
      await this.#tell(tx, row, 'image.warm-renewed', why);
    });
    this.#isWoken = true;
  }

  async #recordFailure(row: TemplateRow, error: unknown): Promise<void> {
    const { signal } = this.#ending;
    const known = storeError(error);
    if (signal.aborted || !(known instanceof VirgaError)) throw error;
    if (known.code === 'HostUnavailable' || known.code === 'StoreUnavailable') throw error;
    const failures = row.failures + 1;
    const retryMs = backOffMs(failures);
    const failure = failureOf(known);
    const retry_at = new Date(this.#deps.clock.now().getTime() + retryMs);
    this.#deps.log.warn({ err: error, template: row.id, host: this.#host.name }, 'a guest cannot be kept');
    await this.#deps.db
      .updateTable('image_templates')
      .set({ state: 'failed', failure, failures, retry_at })
      .where('id', '=', row.id)
      .execute();
    this.#wakeAfter(retryMs);
  }

  /** Has as many copies wait as are wanted. A copy has its row before it is there. */
  async #fill(row: TemplateRow): Promise<void> {
    const { db, cloudId } = this.#deps;
    const shells = await db.selectFrom('template_shells').selectAll().where('template_id', '=', row.id).execute();
    for (const surplus of shells.slice(row.pool)) await this.#discard(surplus);
    const missing = Array.from({ length: Math.max(0, row.pool - shells.length) }, () => ({
      instance_id: newId('instance'),
      template_id: row.id,
      host_id: row.host_id,
      state: 'pending' as const,
    }));
    if (missing.length > 0) await db.insertInto('template_shells').values(missing).execute();
    for (const shell of [...shells.slice(0, row.pool), ...missing].filter(({ state }) => state === 'pending')) {
      if (await this.#isBusy()) return this.#wakeAfter(busyMs);
      try {
        await this.#host.agent.applyShell(desiredShellOf(shell, cloudId), { signal: this.#ending.signal });
      } catch (error) {
        // The memory that it would copy is gone or stale, which the next look sees to.
        if (!(error instanceof VirgaError) || error.code !== 'NotFound') return this.#recordShellFailure(row, error);
        await db.updateTable('image_templates').set({ state: 'pending' }).where('id', '=', row.id).execute();
        this.#isWoken = true;
        return;
      }
      const ready = db
        .updateTable('template_shells')
        .set({ state: 'ready' })
        .where('instance_id', '=', shell.instance_id);
      const kept = await ready.returning('instance_id').executeTakeFirst();
      // The template was dropped meanwhile.
      if (!kept) await this.#host.agent.deleteShell(desiredShellOf(shell, cloudId));
    }
  }

  /** The template stays ready: launches still begin from it, only later. */
  async #recordShellFailure(row: TemplateRow, error: unknown): Promise<void> {
    if (this.#ending.signal.aborted || !(error instanceof VirgaError) || error.code === 'HostUnavailable') throw error;
    this.#deps.log.warn({ err: error, template: row.id, host: this.#host.name }, 'a copy cannot be prepared');
    const failure = failureOf(error);
    await this.#deps.db.updateTable('image_templates').set({ failure }).where('id', '=', row.id).execute();
    this.#wakeAfter(backOffMs(1));
  }

  async #discard(shell: { instance_id: TemplateShellId; template_id: TemplateRow['id'] }): Promise<void> {
    const { db, cloudId } = this.#deps;
    // The row first: from now on no launch takes it.
    const gone = db.deleteFrom('template_shells').where('instance_id', '=', shell.instance_id);
    if (await gone.returning('instance_id').executeTakeFirst()) {
      await this.#host.agent.deleteShell(desiredShellOf(shell, cloudId));
    }
  }

  async #drop(row: TemplateRow): Promise<void> {
    const { db, cloudId } = this.#deps;
    const shells = await db.selectFrom('template_shells').selectAll().where('template_id', '=', row.id).execute();
    for (const shell of shells) await this.#discard(shell);
    try {
      await this.#host.agent.deleteTemplate({ id: row.id, cloudId, uuid: templateDomain(row.id).uuid });
    } catch (error) {
      // Disks rest on it. It is looked at again when hosts are asked what they have.
      if (error instanceof VirgaError && error.code === 'InUse') return;
      throw error;
    }
    await db.deleteFrom('image_templates').where('id', '=', row.id).execute();
  }

  /** What the host really has: copies that a restart ended, templates that are stale, and what no row owns. */
  async resync(): Promise<void> {
    const { db, cloudId } = this.#deps;
    const { agent } = this.#host;
    const [shells, templates] = await Promise.all([agent.listShells(cloudId), agent.listTemplates(cloudId)]);
    const isReady = new Set(shells.filter((shell) => shell.isReady).map(({ id }) => id));
    const rows = await db.selectFrom('template_shells').selectAll().where('host_id', '=', this.#host.id).execute();
    const lost = rows.filter(({ state, instance_id }) => state === 'ready' && !isReady.has(instance_id));
    if (lost.length > 0) {
      const ids = lost.map(({ instance_id }) => instance_id);
      await db.updateTable('template_shells').set({ state: 'pending' }).where('instance_id', 'in', ids).execute();
    }
    const stale = templates.filter(({ state }) => state === 'stale').map(({ id }) => id);
    if (stale.length > 0) {
      await db.updateTable('image_templates').set({ state: 'pending' }).where('id', 'in', stale).execute();
    }
    for (const shell of shells) {
      // One that a launch has just taken is an instance's.
      const owned = await sql<{
        owned: boolean;
      }>`select exists (select from template_shells where instance_id = ${shell.id})
        or exists (select from instances where id = ${shell.id}) as owned`.execute(db);
      if (!owned.rows[0]?.owned) await agent.deleteShell(shell);
    }
    for (const { id } of templates) {
      const row = await db.selectFrom('image_templates').select('id').where('id', '=', id).executeTakeFirst();
      if (row) continue;
      const orphan = { id, cloudId, uuid: templateDomain(id).uuid };
      await agent.deleteTemplate(orphan).catch((error) => {
        if (!(error instanceof VirgaError) || error.code !== 'InUse') throw error;
      });
    }
    this.wake();
  }

  /** Something on the host is on its way to what was asked for. */
  async #isBusy(): Promise<boolean> {
    const found = await this.#deps.db
      .selectFrom('instances')
      .select('id')
      .where('host_id', '=', this.#host.id)
      .where(sql<boolean>`(converged_generation <> generation or desired = 'deleted')`)
      .where((where) => where.or([where('retry_at', 'is', null), where('retry_at', '<=', this.#deps.clock.now())]))
      .limit(1)
      .executeTakeFirst();
    return found !== undefined;
  }

  async #tell(tx: Parameters<typeof appendEvent>[0], row: TemplateRow, type: string, message: string): Promise<void> {
    const image = await tx.selectFrom('images').selectAll().where('id', '=', row.image_id).executeTakeFirstOrThrow();
    const { project_id: projectId, id: resourceId, name: resourceName } = image;
    await appendEvent(tx, this.#access, {
      type,
      projectId,
      resourceId,
      resourceName,
      message,
      data: { template: row.id },
    });
  }
}

type TemplateShellId = Parameters<typeof desiredShellOf>[0]['instance_id'];
