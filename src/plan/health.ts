import { createHash } from 'node:crypto';
import {
  bigIntToIp,
  type Ipv4,
  type Mac,
  type NetnsPath,
  parseIfName,
  parseIpv4,
  parseMac,
} from '../model/address.ts';
import type { OverlayNetwork } from '../model/network.ts';
import type { ClusterNode } from '../model/overlay.ts';
import { type OverlayFacts, overlayMtu, planOverlay, planRemotes } from './overlay.ts';
import type { Resource } from './resource.ts';

/** Below the identifiers of networks, which begin at 4096. */
const HEALTH_VNI = 4095;

/**
 * RFC 1112 §4: class E is nobody's, and these addresses exist in the namespaces of their own only. 28 bits of a hash of
 * the host's id: among 1,000 hosts two have the same one in 2 clusters of 1,000.
 */
const RANGE = { address: parseIpv4('240.0.0.0'), length: 4 } as const;

/**
 * A network of every pair of hosts that no container is on: packets between its ends go exactly the way of the
 * containers' (bridge, tunnel, UDP 4789, tunnel, bridge), so what becomes of them is what becomes of those.
 */
export const HEALTH_NETWORK: OverlayNetwork = {
  id: '67770000'.padEnd(64, '0'),
  name: 'health',
  created: '1970-01-01T00:00:00Z',
  labels: {},
  options: {},
  driver: 'overlay',
  internal: true,
  attachable: false,
  ipv4: {
    subnet: RANGE,
    gateway: RANGE,
    onBridge: false,
    auxAddresses: {},
    gatewayMode: 'isolated',
    egress: { mode: 'none' },
  },
  overlay: { vni: HEALTH_VNI, bridge: parseIfName('ov-health'), vxlan: parseIfName('vx-health') },
};

/** The port of the bridge that leads into the namespace. */
export const HEALTH_PORT = parseIfName('vh-health');

/** Of a host's end. */
export function healthAddress(nodeId: string): Ipv4 {
  const hash = createHash('sha256').update(nodeId).digest().readUInt32BE(0) % (2 ** 28 - 2);
  return bigIntToIp((0xfn << 28n) + BigInt(hash + 1), RANGE.address);
}

function healthMac(nodeId: string): Mac {
  const bytes = healthAddress(nodeId)
    .split('.')
    .map((byte) => Number(byte).toString(16).padStart(2, '0'));
  return parseMac(`02:42:${bytes.join(':')}`);
}

/** Of what both ends send whole. */
export const healthMtu = (facts: OverlayFacts): number => overlayMtu(HEALTH_NETWORK, facts);

/** This host's end, and an entry for each other host. */
export function planHealth(
  facts: OverlayFacts,
  netns: NetnsPath,
  own: string,
  others: readonly ClusterNode[],
): readonly Resource[] {
  const remotes = others.map((node) => ({
    host: node.address,
    remote: {
      id: node.id,
      networkId: HEALTH_NETWORK.id,
      nodeId: node.id,
      containerId: '',
      containerName: '',
      mac: healthMac(node.id),
      ipv4: healthAddress(node.id),
      names: [],
    },
  }));
  return [
    { kind: 'netns', path: netns },
    ...planOverlay(HEALTH_NETWORK, facts),
    {
      kind: 'veth',
      hostIfName: HEALTH_PORT,
      bridge: HEALTH_NETWORK.overlay.bridge,
      mtu: healthMtu(facts),
      netns,
      ifName: parseIfName('eth0'),
      mac: healthMac(own),
      addresses: [{ address: healthAddress(own), length: RANGE.length }],
      ipv6: false,
    },
    ...planRemotes(HEALTH_NETWORK, remotes),
  ];
}
