import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OverlayChange } from '@virga/contract/agent/desired';
import { anchor, applyOverlay, compact } from './apply-overlay.ts';
import { diffTrees, RootChanged } from './diff-overlay.ts';
import { unifiedDiff } from './unified-diff.ts';
import { parseTree, writeTree } from './xml-tree.ts';

const generated = `<domain type='kvm'>
  <name>web</name>
  <vcpu placement='static'>1</vcpu>
  <devices>
    <disk type='file' device='disk'>
      <source file='/a &amp; b'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='network'>
      <mac address='52:54:00:00:00:01'/>
      <model type='virtio'/>
      <alias name='ua-eni-1'/>
    </interface>
    <interface type='network'>
      <mac address='52:54:00:00:00:02'/>
      <model type='virtio'/>
    </interface>
    <rng model='virtio'/>
  </devices>
</domain>`;
const tree = parseTree(generated);
const edit = (from: string, to: string, text = generated) => {
  assert.ok(text.includes(from));
  return parseTree(text.replace(from, to));
};
const diffOf = (from: string, to: string) => diffTrees(tree, edit(from, to));

test('a document is written as it was read', () => {
  assert.equal(writeTree(tree), generated);
  for (const text of ['', '<a>', '<a/><b/>', 'text', '<!DOCTYPE a><!-- b -->']) {
    assert.throws(() => parseTree(text), SyntaxError, text);
  }
});

test('nothing changed is no change, also when attributes stand in another order', () => {
  assert.deepEqual(diffOf("type='file' device='disk'", "device='disk' type='file'"), []);
});

const cases: [what: string, from: string, to: string, changes: OverlayChange[]][] = [
  [
    'text',
    "<vcpu placement='static'>1</vcpu>",
    "<vcpu placement='static'>4</vcpu>",
    [{ op: 'set', path: '/domain/vcpu', xml: "<vcpu placement='static'>4</vcpu>" }],
  ],
  [
    'a device by its alias',
    "<model type='virtio'/>\n      <alias",
    "<model type='e1000'/>\n      <alias",
    [{ op: 'set', path: '/domain/devices/interface[alias@name="ua-eni-1"]/model', xml: "<model type='e1000'/>" }],
  ],
  [
    'a device by its MAC address',
    "02'/>\n      <model type='virtio'/>",
    "02'/>\n      <model type='e1000'/>",
    [
      {
        op: 'set',
        path: '/domain/devices/interface[mac@address="52:54:00:00:00:02"]/model',
        xml: "<model type='e1000'/>",
      },
    ],
  ],
  ['what goes', "    <rng model='virtio'/>\n", '', [{ op: 'remove', path: '/domain/devices/rng' }]],
  [
    'what comes, with its namespace',
    '</devices>',
    "</devices><qemu:commandline xmlns:qemu='urn:q'><qemu:arg value='-s'/></qemu:commandline>",
    [
      {
        op: 'add',
        path: '/domain',
        xml: "<qemu:commandline xmlns:qemu='urn:q'>\n  <qemu:arg value='-s'/>\n</qemu:commandline>",
      },
    ],
  ],
  [
    'an attribute of what has children',
    "<disk type='file' device='disk'>",
    "<disk type='file' device='lun'>",
    [
      {
        op: 'set',
        path: '/domain/devices/disk[target@dev="vda"]',
        xml: "<disk type='file' device='lun'>\n  <source file='/a &amp; b'/>\n  <target dev='vda' bus='virtio'/>\n</disk>",
      },
    ],
  ],
];

for (const [what, from, to, changes] of cases) {
  test(`${what} is told as it is, and done again`, () => {
    assert.deepEqual(diffOf(from, to), changes);
    const { tree: changed, conflicts } = applyOverlay(tree, changes);
    assert.deepEqual(conflicts, []);
    assert.deepEqual(diffTrees(changed, edit(from, to)), []);
    assert.deepEqual(compact(tree, changes), changes);
  });
}

test('namespaces that the root declares go with what uses them', () => {
  const edited = edit("<domain type='kvm'>", "<domain type='kvm' xmlns:qemu='urn:q'>");
  edited.children.push({ name: 'qemu:commandline', attributes: {}, text: '', children: [] });
  assert.deepEqual(diffTrees(tree, edited), [
    { op: 'add', path: '/domain', xml: "<qemu:commandline xmlns:qemu='urn:q'/>" },
  ]);
});

test('a change of the root itself is refused', () => {
  assert.throws(() => diffOf("type='kvm'", "type='qemu'"), RootChanged);
});

test('what has lost its place is told, and the rest is done', () => {
  const gone: OverlayChange = { op: 'set', path: '/domain/devices/disk[target@dev="vdz"]/serial', xml: '<serial/>' };
  const taken: OverlayChange = { op: 'add', path: '/domain/devices', xml: "<disk><target dev='vda'/></disk>" };
  const fine: OverlayChange = { op: 'set', path: '/domain/vcpu', xml: '<vcpu>2</vcpu>' };
  const { tree: changed, conflicts } = applyOverlay(tree, [gone, taken, fine]);
  assert.deepEqual(conflicts, [
    { change: gone, reason: 'There is no /domain/devices/disk[target@dev="vdz"]/serial any more.' },
    { change: taken, reason: 'There is a /domain/devices/disk[target@dev="vda"] already.' },
  ]);
  assert.match(writeTree(changed), /<vcpu>2<\/vcpu>/);
});

test('what libvirt had added by itself is changed by adding it', () => {
  const defined = generated.replace(
    '<rng',
    "<controller type='pci' index='1'>\n<target port='0x10'/></controller><rng",
  );
  const edited = edit('0x10', '0x11', defined);
  const changes = diffTrees(parseTree(defined), edited);
  const { anchored, conflicts } = anchor(changes, { generated: tree, edited });
  assert.deepEqual(conflicts, []);
  assert.deepEqual(anchored, [
    {
      op: 'add',
      path: '/domain/devices',
      xml: "<controller type='pci' index='1'>\n  <target port='0x11'/>\n</controller>",
    },
  ]);
  const removed = diffTrees(parseTree(defined), tree);
  assert.match(anchor(removed, { generated: tree, edited: tree }).conflicts[0]?.reason ?? '', /by itself/);
});

test('what was changed again or taken back is not kept twice', () => {
  const set = (count: number): OverlayChange => ({
    op: 'set',
    path: '/domain/vcpu',
    xml: `<vcpu placement='static'>${count}</vcpu>`,
  });
  const add: OverlayChange = { op: 'add', path: '/domain/devices', xml: "<watchdog model='itco'/>" };
  const remove: OverlayChange = { op: 'remove', path: '/domain/devices/watchdog' };
  assert.deepEqual(compact(tree, [set(2), set(3)]), [set(3)]);
  assert.deepEqual(compact(tree, [set(2), add, set(1), remove]), []);
  assert.deepEqual(compact(tree, [add, set(2)]), [add, set(2)]);
});

test('a difference is shown with three lines around it', () => {
  const lines = Array.from({ length: 20 }, (_, index) => `line ${index}`);
  const changed = lines.with(10, 'other').toSpliced(18, 1);
  assert.equal(unifiedDiff(lines.join('\n'), lines.join('\n'), { before: 'a', after: 'b' }), '');
  assert.equal(
    unifiedDiff(lines.join('\n'), changed.join('\n'), { before: 'a', after: 'b' }),
    `--- a
+++ b
@@ -8,7 +8,7 @@
 line 7
 line 8
 line 9
-line 10
+other
 line 11
 line 12
 line 13
@@ -16,5 +16,4 @@
 line 15
 line 16
 line 17
-line 18
 line 19
`,
  );
});
