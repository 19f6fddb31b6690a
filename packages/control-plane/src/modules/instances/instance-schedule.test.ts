import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dueRun, firstRun } from './instance-schedule.ts';

const at = (text: string) => new Date(text);
const utc = (cron: string) => ({ cron, timeZone: 'UTC' });

test('the next run is that of the time zone, in summer and in winter', () => {
  const line = { cron: '0 8 * * mon-fri', timeZone: 'Europe/Berlin' };
  assert.deepEqual(firstRun(line, at('2030-01-04T08:00:00Z')), at('2030-01-07T07:00:00Z'));
  assert.deepEqual(firstRun(line, at('2030-07-01T00:00:00Z')), at('2030-07-01T06:00:00Z'));
});

test('a time that summer time leaves out runs right after, and one that comes twice runs once', () => {
  const line = { cron: '30 2 * * *', timeZone: 'Europe/Berlin' };
  assert.deepEqual(firstRun(line, at('2030-03-30T12:00:00Z')), at('2030-03-31T01:00:00Z'));
  const first = firstRun(line, at('2030-10-26T12:00:00Z'));
  assert.deepEqual(first, at('2030-10-27T00:30:00Z'));
  assert.deepEqual(firstRun(line, first), at('2030-10-28T01:30:00Z'));
});

test('a line that cannot be read, has seconds or never runs is refused, and so is a time zone that is none', () => {
  const lines = ['', 'soon', '* * * * * *', '0 25 * * *', '*/0 * * * *', '0 0 30 2 *', '0 0 1 1 * 2020', '@reboot'];
  for (const cron of lines) {
    assert.throws(
      () => firstRun(utc(cron), at('2030-01-01T00:00:00Z')),
      { name: 'InvalidArgument', field: '/cron' },
      cron,
    );
  }
  const elsewhere = { cron: '0 8 * * *', timeZone: 'Mars/Olympus' };
  assert.throws(() => firstRun(elsewhere, new Date()), { name: 'InvalidArgument', field: '/timeZone' });
});

test('what is due in time is run, and nothing is left out', () => {
  const due = at('2030-01-01T08:00:00Z');
  assert.deepEqual(dueRun(utc('0 8 * * *'), due, at('2030-01-01T08:00:00.020Z')), {
    run: due,
    skippedFrom: undefined,
    next: at('2030-01-02T08:00:00Z'),
  });
});

test('of the runs that were missed within the hour only the latest is made up for', () => {
  const due = at('2030-01-01T08:00:00Z');
  assert.deepEqual(dueRun(utc('*/10 * * * *'), due, at('2030-01-01T08:35:00Z')), {
    run: at('2030-01-01T08:30:00Z'),
    skippedFrom: due,
    next: at('2030-01-01T08:40:00Z'),
  });
});

test('a run that was missed more than an hour ago is not made up for', () => {
  const due = at('2030-01-01T08:00:00Z');
  const line = utc('0 8 * * *');
  const next = at('2030-01-02T08:00:00Z');
  assert.deepEqual(dueRun(line, due, at('2030-01-01T09:00:00Z')), { run: due, skippedFrom: undefined, next });
  assert.deepEqual(dueRun(line, due, at('2030-01-01T09:00:01Z')), { run: undefined, skippedFrom: due, next });
  const daysLater = dueRun(line, due, at('2030-01-05T08:30:00Z'));
  assert.deepEqual(daysLater, { run: at('2030-01-05T08:00:00Z'), skippedFrom: due, next: at('2030-01-06T08:00:00Z') });
});
