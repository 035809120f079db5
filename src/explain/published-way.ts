import type { Ipv4, NetnsPath } from '../model/address.ts';
import type { BridgeNetwork, Endpoint } from '../model/network.ts';
import type { PortRange, PublishedPort } from '../model/port.ts';
import { planEndpoint, planNetwork } from '../plan/plan.ts';
import type { ElementResource, Resource } from '../plan/resource.ts';
import { RULESET } from '../plan/ruleset.ts';
import { type Effect, Elements, type Packet, passHook } from './packet.ts';
import type { Place, Step } from './step.ts';

/** Example addresses of RFC 5737: any client, and any address of the host. */
const CLIENT = '203.0.113.9' as Ipv4;
const HOST = '192.0.2.1' as Ipv4;

/**
 * The way of a connection's first packet to a published port, and of the answer, by the very rules that are in the
 * kernel. It ends with a `drop` step where a rule ends it (a port published on an internal network).
 */
export function explainPublishedPort(
  network: BridgeNetwork,
  endpoint: Endpoint,
  published: PublishedPort,
): readonly Step[] {
  const elements = new Elements(
    [
      ...planNetwork(network),
      ...planEndpoint(network, { ...endpoint, published: [published] }, '' as NetnsPath),
    ].filter(isElement),
  );
  const { protocol, hostPorts, containerPorts, hostIp } = published;
  const loopback = hostIp.startsWith('127.');
  const asked: Place = { address: hostIp, ports: hostPorts };
  const served: Place = { address: endpoint.address.address, ports: containerPorts };
  const bridge = network.bridge.ifName;
  const steps: Step[] = [{ kind: 'send', from: loopback ? 'host' : 'outside', to: asked, protocol }];

  let packet: Packet = {
    iifname: loopback ? '' : 'uplink',
    oifname: loopback ? 'lo' : '',
    saddr: loopback ? hostIp : CLIENT,
    daddr: hostIp === '0.0.0.0' ? HOST : hostIp,
    dport: hostPorts.first,
    protocol,
    toHost: true,
    state: 'new',
    dnat: false,
  };
  for (const effect of passHook(RULESET, elements, loopback ? 'output' : 'prerouting', packet)) {
    if (effect.kind === 'drop') return [...steps, { kind: 'drop', rule: effect.rule }];
    if (effect.kind !== 'dnat') continue;
    const port = effect.port ?? packet.dport;
    packet = { ...packet, daddr: effect.address, dport: port, dnat: true, toHost: false };
    const ports = shifted(hostPorts, port - hostPorts.first);
    steps.push({ kind: 'dnat', rule: effect.rule, from: asked, to: { address: effect.address, ports } });
  }
  // Not translated, it is for the host itself.
  if (!packet.dnat) return steps;
  steps.push({ kind: 'route', to: packet.daddr, subnet: network.subnet, device: bridge });
  packet = { ...packet, oifname: bridge };
  if (!loopback) {
    const [verdict] = passHook(RULESET, elements, 'forward', packet);
    if (verdict?.kind === 'accept' || verdict?.kind === 'drop')
      steps.push({ kind: verdict.kind, rule: verdict.rule });
    if (verdict?.kind === 'drop') return steps;
  }
  const [source] = passHook(RULESET, elements, 'postrouting', packet);
  steps.push(sourceStep(source, network), {
    kind: 'link',
    from: bridge,
    through: endpoint.hostIfName,
    to: endpoint.ifName,
    container: endpoint.containerName,
  });
  return [
    ...steps,
    { kind: 'deliver', container: endpoint.containerName, to: served, protocol },
    {
      kind: 'answer',
      gateway: source?.kind === 'masquerade' ? undefined : endpoint.gateway,
      device: endpoint.ifName,
    },
    { kind: 'restore', from: served, to: asked },
  ];
}

function sourceStep(effect: Effect | undefined, network: BridgeNetwork): Step {
  if (effect?.kind === 'masquerade')
    return { kind: 'masquerade', rule: effect.rule, to: network.gateway.address };
  return { kind: 'source-kept' };
}

const shifted = (range: PortRange, by: number): PortRange =>
  ({ first: range.first + by, last: range.last + by }) as PortRange;

const isElement = (resource: Resource): resource is ElementResource => resource.kind === 'element';
