import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPorts, publishedPorts } from './ports.ts';

const tcp = (IP: string, PublicPort: number, PrivatePort: number) => ({
  IP,
  PublicPort,
  PrivatePort,
  Type: 'tcp',
});

test('neighbouring ports that lead to neighbours are one line; exposed ones are left out', () => {
  const lines = publishedPorts([
    { Names: ['/web'], Ports: [tcp('0.0.0.0', 8080, 80), { PrivatePort: 443, Type: 'tcp' }] },
    {
      Names: ['/db'],
      Ports: [tcp('0.0.0.0', 7001, 7001), tcp('0.0.0.0', 7000, 7000), tcp('0.0.0.0', 7002, 9)],
    },
  ]);
  assert.deepEqual(
    lines.map((line) => [line.first, line.last, line.container, line.containerFirst]),
    [
      [7000, 7001, 'db', 7000],
      [7002, 7002, 'db', 9],
      [8080, 8080, 'web', 80],
    ],
  );
});

test('the same port on two addresses stays two lines', () => {
  const lines = publishedPorts([
    { Names: ['/a'], Ports: [tcp('127.0.0.1', 80, 80), tcp('10.0.0.1', 81, 81)] },
  ]);
  assert.equal(lines.length, 2);
});

test('the table has its columns under each other', () => {
  const text = formatPorts(
    publishedPorts([{ Names: ['/web'], Ports: [tcp('0.0.0.0', 8080, 80), tcp('0.0.0.0', 8081, 81)] }]),
  );
  assert.equal(text, 'ON THE HOST         PROTOCOL   LEADS TO\n0.0.0.0:8080-8081   tcp        web:80-81');
  assert.equal(formatPorts([]), 'No port is published.');
});
