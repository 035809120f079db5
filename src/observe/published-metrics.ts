import { Counter, type Registry } from 'prom-client';
import type { PortTraffic } from '../kernel/published-traffic.ts';
import { familyOf, type Ip, isAny } from '../model/address.ts';
import { addressesOf, type Endpoint, type Network } from '../model/network.ts';
import type { PortRange, PublishedPort } from '../model/port.ts';

const LABELS = ['container', 'network', 'protocol', 'host_ip', 'host_port', 'container_port'] as const;
type Label = (typeof LABELS)[number];
type Networks = ReadonlyMap<string, Network>;

/** What came for published ports. A published range is one. */
export class PublishedMetrics {
  readonly #connections: Counter<Label>;
  readonly #traffic: Readonly<
    Record<PortTraffic['way'], Readonly<Record<'bytes' | 'packets', Counter<Label>>>>
  >;

  constructor(registry: Registry) {
    const counter = (name: string, help: string): Counter<Label> =>
      new Counter({
        name: `gangway_published_${name}_total`,
        help,
        labelNames: LABELS,
        registers: [registry],
      });
    this.#connections = counter('connections', 'Connections that came for a published port.');
    const way = (name: string, done: string) => ({
      bytes: counter(
        `${name}_bytes`,
        `Bytes that the container ${done} by a published port, with the headers of IP.`,
      ),
      packets: counter(`${name}_packets`, `Packets that the container ${done} by a published port.`),
    });
    this.#traffic = { there: way('receive', 'received'), back: way('transmit', 'transmitted') };
  }

  set(counted: ReadonlyMap<string, number>, endpoints: readonly Endpoint[], networks: Networks): void {
    this.#connections.reset();
    for (const endpoint of endpoints) {
      for (const port of endpoint.published) {
        const { protocol, hostIp, hostPorts } = port;
        let connections = 0;
        for (let number = hostPorts.first; number <= hostPorts.last; number++) {
          connections += counted.get(`${protocol} ${hostIp} ${number}`) ?? 0;
        }
        this.#connections.inc(labelsOf(endpoint, port, networks), connections);
      }
    }
  }

  /** Of ports that something passed for. */
  setTraffic(counted: readonly PortTraffic[], endpoints: readonly Endpoint[], networks: Networks): void {
    for (const { bytes, packets } of Object.values(this.#traffic)) {
      bytes.reset();
      packets.reset();
    }
    if (counted.length === 0) return;
    const byAddress = new Map<Ip, Endpoint>(
      endpoints.flatMap((endpoint) =>
        endpoint.published.length === 0
          ? []
          : addressesOf(endpoint).map(({ address }) => [address, endpoint] as const),
      ),
    );
    for (const traffic of counted) {
      const endpoint = byAddress.get(traffic.containerIp);
      const port = endpoint && publishedAs(endpoint, traffic);
      if (endpoint === undefined || port === undefined) continue;
      const labels = labelsOf(endpoint, port, networks);
      this.#traffic[traffic.way].bytes.inc(labels, traffic.bytes);
      this.#traffic[traffic.way].packets.inc(labels, traffic.packets);
    }
  }
}

/** What was asked at one address of the host may be published there, or at all of them. */
function publishedAs({ published }: Endpoint, asked: PortTraffic): PublishedPort | undefined {
  const { protocol, hostIp, hostPort } = asked;
  const found = published.filter(
    (port) =>
      port.protocol === protocol && port.hostPorts.first <= hostPort && hostPort <= port.hostPorts.last,
  );
  return (
    found.find((port) => port.hostIp === hostIp) ??
    found.find((port) => isAny(port.hostIp) && familyOf(port.hostIp) === familyOf(hostIp))
  );
}

function labelsOf(
  { containerName, networkId }: Endpoint,
  { protocol, hostIp, hostPorts, containerPorts }: PublishedPort,
  networks: Networks,
): Record<Label, string> {
  return {
    container: containerName,
    network: networks.get(networkId)?.name ?? '',
    protocol,
    host_ip: hostIp,
    host_port: rangeText(hostPorts),
    container_port: rangeText(containerPorts),
  };
}

const rangeText = ({ first, last }: PortRange): string => (first === last ? `${first}` : `${first}-${last}`);
