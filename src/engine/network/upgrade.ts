import type { Addressing, BridgeNetwork, Network } from '../../model/network.ts';
import type { EndpointRecord } from './settings.ts';

/** Records of before there was IPv6: one address, and the network's members beside each other. */
interface OldNetwork {
  readonly subnet: Addressing['subnet'];
  readonly gateway: Addressing['gateway'];
  readonly defaultGateway?: Addressing['defaultGateway'];
  readonly ipRange?: Addressing['ipRange'];
  readonly auxAddresses: Addressing['auxAddresses'];
  readonly bridge: BridgeNetwork['bridge'] & { readonly egress: Addressing['egress'] };
}
interface OldEndpoint {
  readonly address: NonNullable<EndpointRecord['ipv4']>;
  readonly gateway?: NonNullable<EndpointRecord['ipv4']>['gateway'];
}

/** A stored network as it is written now. */
export function upgradeNetwork(stored: Network | (Network & OldNetwork)): Network {
  if (!('subnet' in stored)) return stored;
  const { subnet, gateway, defaultGateway, ipRange, auxAddresses, bridge: old, ...rest } = stored;
  const { egress, ...bridge } = old;
  const ipv4 = {
    subnet,
    gateway,
    onBridge: true,
    ...(defaultGateway && { defaultGateway }),
    ...(ipRange && { ipRange }),
    auxAddresses,
    gatewayMode: 'nat',
    egress,
  };
  const added = { mtuOfUplink: false, trustedInterfaces: [], ifPrefix: 'eth' };
  return { ...rest, ipv4, bridge: { ...added, ...bridge } } as unknown as Network;
}

/** A stored endpoint as it is written now. */
export function upgradeEndpoint(stored: EndpointRecord | (EndpointRecord & OldEndpoint)): EndpointRecord {
  if (!('address' in stored)) return stored;
  const { address, gateway, ...rest } = stored;
  return {
    ...rest,
    ipv4: { ...address, ...(gateway && { gateway }) },
    linkLocal: [],
    sysctls: {},
    opened: [],
  } as EndpointRecord;
}
