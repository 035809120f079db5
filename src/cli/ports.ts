import { table } from './table.ts';

/** The part of `GET /containers/json` that speaks of ports. */
export interface ContainerPorts {
  readonly Names: readonly string[];
  readonly Ports: readonly {
    readonly IP?: string;
    readonly PrivatePort: number;
    readonly PublicPort?: number;
    readonly Type: string;
  }[];
}

export interface PublishedLine {
  readonly address: string;
  readonly protocol: string;
  readonly first: number;
  readonly last: number;
  readonly container: string;
  readonly containerFirst: number;
}

/** Published ports in the order of host ports; neighbours that lead to neighbours become one line. */
export function publishedPorts(containers: readonly ContainerPorts[]): PublishedLine[] {
  const single = containers.flatMap((container) =>
    container.Ports.flatMap((port): PublishedLine[] =>
      port.PublicPort === undefined
        ? []
        : [
            {
              address: port.IP ?? '0.0.0.0',
              protocol: port.Type,
              first: port.PublicPort,
              last: port.PublicPort,
              container: (container.Names[0] ?? '').replace(/^\//, ''),
              containerFirst: port.PrivatePort,
            },
          ],
    ),
  );
  single.sort(
    (a, b) => a.address.localeCompare(b.address) || a.protocol.localeCompare(b.protocol) || a.first - b.first,
  );
  const lines: PublishedLine[] = [];
  for (const port of single) {
    const before = lines.at(-1);
    const follows =
      before !== undefined &&
      before.address === port.address &&
      before.protocol === port.protocol &&
      before.container === port.container &&
      before.last + 1 === port.first &&
      before.containerFirst + (port.first - before.first) === port.containerFirst;
    if (follows) lines[lines.length - 1] = { ...before, last: port.last };
    else lines.push(port);
  }
  return lines.sort((a, b) => a.first - b.first || a.protocol.localeCompare(b.protocol));
}

export function formatPorts(lines: readonly PublishedLine[]): string {
  if (lines.length === 0) return 'No port is published.';
  const range = (first: number, count: number): string =>
    count === 0 ? `${first}` : `${first}-${first + count}`;
  const rows = lines.map((line) => [
    `${line.address}:${range(line.first, line.last - line.first)}`,
    line.protocol,
    `${line.container}:${range(line.containerFirst, line.last - line.first)}`,
  ]);
  return table([['ON THE HOST', 'PROTOCOL', 'LEADS TO'], ...rows]);
}
