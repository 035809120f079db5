import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Topology } from '../src/model/topology.ts';
import { largeTopology } from '../test/e2e/stand-in-daemon.ts';
import { endName } from './ends.ts';
import { DIRECTIONS, neighbour } from './keys.ts';
import { type LayoutOptions, layOut } from './layout.ts';
import { modelOf, sectionsOf } from './model.ts';
import type { Scene, SceneNode } from './scene.ts';
import { wayOf } from './ways.ts';

const scene = (topology: Topology, width: number, more: Partial<LayoutOptions> = {}, query = ''): Scene => {
  const model = modelOf(topology);
  return layOut(model, sectionsOf(model, query), {
    width,
    detail: 'auto',
    toggled: new Set(),
    allPorts: false,
    ...more,
  });
};
const places = ({ nodes }: Scene): SceneNode[] => nodes.filter(({ kind }) => kind === 'place');
const overlap = (a: SceneNode, b: SceneNode): boolean =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

for (const [count, networks] of [
  [3, 1],
  [12, 4],
  [70, 4],
  [300, 12],
] as const) {
  for (const width of [320, 780, 1050, 2000]) {
    for (const detail of ['auto', 'large', 'small'] as const) {
      test(`${count} containers, ${width} pixels, ${detail}: everything is inside and nothing covers another`, () => {
        const { nodes, height } = scene(largeTopology(count, networks), width, { detail });
        const boxes = nodes.filter(({ kind }) => kind !== 'host');
        for (const node of nodes) {
          assert.ok(node.x >= 0 && node.x + node.w <= width + 0.5, `${node.id} ${node.x}+${node.w}`);
          assert.ok(node.y >= 0 && node.y + node.h <= height, node.id);
          assert.ok(node.w > 0 && node.h > 0, node.id);
        }
        for (const [i, a] of boxes.entries()) {
          for (const b of boxes.slice(i + 1)) assert.ok(!overlap(a, b), `${a.id} covers ${b.id}`);
        }
      });
    }
  }
}

test('every wire ends at its card; one is drawn for each endpoint', () => {
  const topology = largeTopology(40, 4);
  const drawn = scene(topology, 1050);
  const wires = drawn.edges.filter(({ kind }) => kind === 'veth');
  assert.equal(wires.length, topology.endpoints.length);
  for (const wire of wires) {
    const card = drawn.nodes.find(({ id }) => `veth:${id}` === wire.id);
    const [x = 0, y = 0] = wire.points.at(-1) ?? [];
    assert.ok(card !== undefined && x > card.x && x < card.x + card.w && y > card.y && y < card.y + card.h);
  }
});

test('an internal network has no way to the host, and translates nothing', () => {
  const { edges } = scene(largeTopology(12, 4), 1050);
  assert.deepEqual(
    edges.filter(({ kind }) => kind === 'gateway').map(({ id, snat }) => `${id} ${snat}`),
    ['gateway:net2 true', 'gateway:net3 true', 'gateway:net0 true'],
  );
});

test('arrows lead from a published port to its container; of too many only to the chosen one', () => {
  const arrows = (count: number, more = {}): number =>
    scene(largeTopology(count, 4), 1050, { detail: 'small', allPorts: true, ...more }).edges.filter(
      ({ kind }) => kind === 'dnat',
    ).length;
  assert.equal(arrows(40), 3);
  assert.equal(arrows(300), 0);
  assert.equal(arrows(300, { chosen: 'c2' }), 1);
});

test('many are an overview; a network that is toggled shows its names', () => {
  const details = (drawn: Scene): string[] => [
    ...new Set(places(drawn).map((node) => (node.kind === 'place' ? node.detail : ''))),
  ];
  assert.deepEqual(details(scene(largeTopology(300, 12), 1050)), ['tiny']);
  assert.deepEqual(details(scene(largeTopology(300, 12), 1050, { toggled: new Set(['net3']) })).toSorted(), [
    'small',
    'tiny',
  ]);
  assert.deepEqual(details(scene(largeTopology(12, 4), 1050, { toggled: new Set(['net3']) })).toSorted(), [
    'large',
    'tiny',
  ]);
});

test('search: each word in any of what is known; what is left is drawn large', () => {
  const found = (query: string): string[] =>
    places(scene(largeTopology(300, 12), 1050, {}, query)).map((node) =>
      node.kind === 'place' ? node.place.container.name : '',
    );
  assert.deepEqual(found('service-123'), ['service-123']);
  assert.deepEqual(found('SERVICE-12 project1 10.0.'), ['service-12', 'service-120']);
  assert.deepEqual(found(':8017'), ['service-17']);
  assert.deepEqual(found('nobody'), []);
});

test('arrows of the keyboard reach every node', () => {
  const drawn = scene(largeTopology(40, 4), 1050);
  const seen = new Set<string>(['outside']);
  const queue = ['outside'];
  for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
    for (const direction of Object.values(DIRECTIONS)) {
      const next = neighbour(drawn, id, direction)?.id;
      if (next === undefined || seen.has(next)) continue;
      seen.add(next);
      queue.push(next);
    }
  }
  const all = drawn.nodes.filter(({ kind }) => kind !== 'section' && kind !== 'peer').map(({ id }) => id);
  assert.deepEqual(
    all.filter((id) => !seen.has(id)),
    [],
  );
});

test('the way: over the common switch, else by the host', () => {
  const topology = largeTopology(12, 4);
  const model = modelOf(topology);
  const drawn = scene(topology, 1050);
  const host = drawn.nodes.find(({ kind }) => kind === 'host');
  const lowest = (from: string, to: string): boolean =>
    (wayOf(drawn, model, from, to)?.points ?? []).some(([, y]) => y <= (host?.y ?? 0) + (host?.h ?? 0));
  assert.equal(lowest('service-1', 'service-5:80'), false);
  assert.equal(lowest('service-1', 'service-2'), true);
  assert.equal(lowest('outside', 'service-2:80/tcp'), true);
  assert.equal(wayOf(drawn, model, 'service-1', 'nobody'), undefined);
  assert.deepEqual(['web', 'web:80', 'db:53/udp', '[fd00::1]:80', 'fd00::1', '10.0.0.1:443'].map(endName), [
    'web',
    'web',
    'db',
    'fd00::1',
    'fd00::1',
    '10.0.0.1',
  ]);
});
