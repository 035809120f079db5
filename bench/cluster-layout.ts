/**
 * Who is on which network in the simulated cluster: 1,000 hosts with 45 containers each on two of 45 networks of about
 * 1,000, and on every fourth host 20 more on one network of 5,000. 50,000 in all.
 */
export const HOSTS = Number(process.env.HOSTS ?? 1000);
export const BIG = 'big';
const NETWORKS = 45;

export interface Part {
  readonly network: string;
  readonly endpoints: number;
}

export const networks = (): readonly string[] => [
  ...Array.from({ length: NETWORKS }, (_, i) => `net${i}`),
  BIG,
];

/** What a host takes part in. @param host from 0 */
export function partsOf(host: number): readonly Part[] {
  const first = host % NETWORKS;
  const second = (first + 1 + (Math.floor(host / NETWORKS) % (NETWORKS - 1))) % NETWORKS;
  return [
    { network: `net${first}`, endpoints: 23 },
    { network: `net${second}`, endpoints: 22 },
    ...(host % 4 === 0 ? [{ network: BIG, endpoints: 20 }] : []),
  ];
}

export interface Size {
  readonly hosts: number;
  readonly endpoints: number;
}

/** Of each network. */
export function sizes(): ReadonlyMap<string, Size> {
  const found = new Map<string, Size>();
  for (let host = 0; host < HOSTS; host++) {
    for (const { network, endpoints } of partsOf(host)) {
      const before = found.get(network) ?? { hosts: 0, endpoints: 0 };
      found.set(network, { hosts: before.hosts + 1, endpoints: before.endpoints + endpoints });
    }
  }
  return found;
}
