import { type Family, familyOf, type Ip, isAny, isLoopback, type NetnsPath } from '../model/address.ts';
import type { Addressing, BridgeNetwork, Endpoint } from '../model/network.ts';
import type { PortRange, PublishedPort } from '../model/port.ts';
import { ALL_TABLES, type PlanFacts, planEndpoint, planNetwork } from '../plan/plan.ts';
import type { ElementResource, Resource } from '../plan/resource.ts';
import { IPV4_RULESET, IPV6_RULESET } from '../plan/ruleset.ts';
import { type Effect, Elements, type Packet, passHook } from './packet.ts';
import type { Place, Step } from './step.ts';

/** Example addresses of RFC 5737 and RFC 3849: any client, and any address of the host. */
const EXAMPLES: Readonly<Record<Family, { readonly client: Ip; readonly host: Ip }>> = {
  ipv4: { client: '203.0.113.9' as Ip, host: '192.0.2.1' as Ip },
  ipv6: { client: '2001:db8:1::9' as Ip, host: '2001:db8::1' as Ip },
};

/** A daemon with its firewall, on a host without br_netfilter. */
const FACTS: PlanFacts = { tables: ALL_TABLES, bridgeFirewall: false, directRouting: false };

/**
 * The way of a connection's first packet to a published port, and of the answer, by the very rules that are in the
 * kernel. It ends with a `drop` step where a rule ends it (a port published on an internal network). Empty when the
 * endpoint has no address of the port's family.
 */
export function explainPublishedPort(
  network: BridgeNetwork,
  endpoint: Endpoint,
  published: PublishedPort,
): readonly Step[] {
  const { protocol, hostPorts, containerPorts, hostIp } = published;
  const family = familyOf(hostIp);
  const { [family]: own, hostIfName } = endpoint;
  const addressing = network[family];
  if (own === undefined || addressing === undefined || hostIfName === undefined) return [];
  const rules = family === 'ipv4' ? IPV4_RULESET : IPV6_RULESET;
  const elements = new Elements(
    rules.family,
    [
      ...planNetwork(network, FACTS),
      ...planEndpoint(network, { ...endpoint, published: [published] }, '' as NetnsPath, FACTS),
    ].filter(isElement),
  );
  const loopback = isLoopback(hostIp);
  const { client, host } = EXAMPLES[family];
  const asked: Place = { address: hostIp, ports: hostPorts };
  const served: Place = { address: own.address, ports: containerPorts };
  const bridge = network.bridge.ifName;
  const steps: Step[] = [{ kind: 'send', from: loopback ? 'host' : 'outside', to: asked, protocol }];

  let packet: Packet = {
    iifname: loopback ? '' : 'uplink',
    oifname: loopback ? 'lo' : '',
    saddr: loopback ? hostIp : client,
    daddr: isAny(hostIp) ? host : hostIp,
    dport: hostPorts.first,
    protocol,
    toHost: true,
    state: 'new',
    dnat: false,
  };
  for (const effect of passHook(rules, elements, loopback ? 'output' : 'prerouting', packet)) {
    if (effect.kind === 'drop') return [...steps, { kind: 'drop', rule: effect.rule }];
    if (effect.kind !== 'dnat') continue;
    const port = effect.port ?? packet.dport;
    packet = { ...packet, daddr: effect.address, dport: port, dnat: true, toHost: false };
    const ports = shifted(hostPorts, port - hostPorts.first);
    steps.push({ kind: 'dnat', rule: effect.rule, from: asked, to: { address: effect.address, ports } });
  }
  // Not translated, it is for the host itself.
  if (!packet.dnat) return steps;
  steps.push({ kind: 'route', to: packet.daddr, subnet: addressing.subnet, device: bridge });
  packet = { ...packet, oifname: bridge };
  if (!loopback) {
    const [verdict] = passHook(rules, elements, 'forward', packet);
    if (verdict?.kind === 'accept' || verdict?.kind === 'drop')
      steps.push({ kind: verdict.kind, rule: verdict.rule });
    if (verdict?.kind === 'drop') return steps;
  }
  const [source] = passHook(rules, elements, 'postrouting', packet);
  steps.push(sourceStep(source, addressing), {
    kind: 'link',
    from: bridge,
    through: hostIfName,
    to: endpoint.ifName,
    container: endpoint.containerName,
  });
  return [
    ...steps,
    { kind: 'deliver', container: endpoint.containerName, to: served, protocol },
    {
      kind: 'answer',
      gateway: source?.kind === 'masquerade' ? undefined : own.gateway,
      device: endpoint.ifName,
    },
    { kind: 'restore', from: served, to: asked },
  ];
}

function sourceStep(effect: Effect | undefined, { gateway }: Addressing): Step {
  if (effect?.kind === 'masquerade') return { kind: 'masquerade', rule: effect.rule, to: gateway.address };
  return { kind: 'source-kept' };
}

const shifted = (range: PortRange, by: number): PortRange =>
  ({ first: range.first + by, last: range.last + by }) as PortRange;

const isElement = (resource: Resource): resource is ElementResource => resource.kind === 'element';
