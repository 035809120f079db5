import { z } from 'zod';
import type { Family } from '../../model/address.ts';
import { forbidden, invalid, notFound, notImplemented } from '../../model/errors.ts';
import type { ConfigNetwork } from '../../model/network.ts';
import { type BridgeWish, familyOption, mtuOption, parseBridgeOptions } from './bridge-options.ts';
import { type AddressingWish, type IpamConfig, parseIpam } from './ipam-request.ts';
import { type MacvlanWish, parseMacvlanOptions } from './macvlan-options.ts';

const PREDEFINED = new Set(['bridge', 'host', 'none', 'default']);

const map = z.record(z.string(), z.string()).nullish();
const body = z.looseObject({
  Name: z.string(),
  CheckDuplicate: z.boolean().nullish(),
  Driver: z.string().nullish(),
  Scope: z.string().nullish(),
  Internal: z.boolean().nullish(),
  Attachable: z.boolean().nullish(),
  Ingress: z.boolean().nullish(),
  ConfigOnly: z.boolean().nullish(),
  ConfigFrom: z.looseObject({ Network: z.string().nullish() }).nullish(),
  EnableIPv4: z.boolean().nullish(),
  EnableIPv6: z.boolean().nullish(),
  Options: map,
  Labels: map,
  IPAM: z
    .looseObject({
      Driver: z.string().nullish(),
      Options: map,
      Config: z
        .array(
          z.looseObject({
            Subnet: z.string().nullish(),
            IPRange: z.string().nullish(),
            Gateway: z.string().nullish(),
            AuxiliaryAddresses: map,
          }),
        )
        .nullish(),
    })
    .nullish(),
});
type Body = z.infer<typeof body>;

/** What a user wants of a new network; absent members are the engine's to choose. */
interface AddressedWish {
  readonly name: string;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly families: Readonly<Partial<Record<Family, AddressingWish>>>;
  readonly configFrom?: string;
}

export interface BridgeNetworkWish extends AddressedWish {
  readonly kind: 'bridge';
  readonly bridge: BridgeWish;
}

export interface MacvlanNetworkWish extends AddressedWish {
  readonly kind: 'macvlan';
  readonly macvlan: MacvlanWish;
}

export interface OverlayNetworkWish extends AddressedWish {
  readonly kind: 'overlay';
  readonly mtu?: number;
}

export type NetworkWish = BridgeNetworkWish | MacvlanNetworkWish | OverlayNetworkWish;

/** A network that others are made from. */
export interface ConfigWish {
  readonly kind: 'config-only';
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly template: ConfigNetwork['template'];
}

export interface RequestContext {
  /** The config-only network of that name. */
  readonly configNetwork: (name: string) => ConfigNetwork | undefined;
  /** `--default-network-opt`, by driver. */
  readonly defaultOptions: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** The body of `POST /networks/create`. @throws EngineError in Docker's words */
export function parseNetworkRequest(given: unknown, context: RequestContext): NetworkWish | ConfigWish {
  const parsed = body.safeParse(given ?? {});
  if (!parsed.success) throw invalid(`invalid network config:\n${z.prettifyError(parsed.error)}`);
  const own = parsed.data;
  if (own.Name.trim() === '') throw invalid('invalid name: name is empty');
  if (PREDEFINED.has(own.Name)) {
    throw forbidden(`operation is not permitted on predefined ${own.Name} network `);
  }
  if ((own.Scope ?? 'local') === 'swarm')
    throw forbidden('cannot create a swarm scoped network when swarm is not active');
  if (own.ConfigOnly) return configOnly(own);
  const configFrom = own.ConfigFrom?.Network || undefined;
  const request = configFrom === undefined ? own : fromConfig(own, configFrom, context);
  checkDriver(request.Driver || 'bridge');
  if (request.Ingress) throw notImplemented('an ingress network');
  const ipamDriver = request.IPAM?.Driver || 'default';
  if (ipamDriver !== 'default') throw notFound(`plugin "${ipamDriver}" not found`);
  const driver = request.Driver === 'macvlan' || request.Driver === 'overlay' ? request.Driver : 'bridge';
  const options = { ...context.defaultOptions[driver], ...request.Options };
  const internal = request.Internal ?? false;
  const enabled = enabledFamilies(request, options);
  const families = parseIpam(configsOf(request), enabled, driver);
  if (!enabled.ipv4 && !enabled.ipv6) throw invalid('IPv4 or IPv6 must be enabled');
  const wish: AddressedWish = {
    name: request.Name,
    internal,
    attachable: request.Attachable ?? false,
    labels: request.Labels ?? {},
    options,
    families,
    ...(configFrom && { configFrom }),
  };
  if (driver === 'overlay') {
    const mtu = mtuOption(options);
    return { kind: 'overlay', ...wish, ...(mtu !== undefined && { mtu }) };
  }
  return driver === 'macvlan'
    ? { kind: 'macvlan', ...wish, macvlan: parseMacvlanOptions(options) }
    : { kind: 'bridge', ...wish, bridge: parseBridgeOptions(options, internal) };
}

function enabledFamilies(request: Body, options: Readonly<Record<string, string>>): Record<Family, boolean> {
  const byOption = { ipv4: familyOption(options, 'ipv4'), ipv6: familyOption(options, 'ipv6') };
  return {
    ipv4: request.EnableIPv4 ?? byOption.ipv4 ?? true,
    ipv6: request.EnableIPv6 ?? byOption.ipv6 ?? false,
  };
}

function configsOf(request: Body): readonly IpamConfig[] {
  return (request.IPAM?.Config ?? []).map((config) => ({
    subnet: config.Subnet || undefined,
    range: config.IPRange || undefined,
    gateway: config.Gateway || undefined,
    aux: config.AuxiliaryAddresses ?? {},
  }));
}

/** moby libnetwork/network.go, validateConfiguration. */
function configOnly(request: Body): ConfigWish {
  if (request.Internal || request.Attachable || request.Ingress || (request.Scope ?? '') !== '') {
    throw forbidden(
      'configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.',
    );
  }
  if (request.ConfigFrom?.Network) {
    throw forbidden('a configuration network cannot depend on another configuration network');
  }
  // Read for its errors: a template that no network can be made from is of no use.
  parseIpam(configsOf(request), enabledFamilies(request, request.Options ?? {}), 'bridge');
  const { EnableIPv4, EnableIPv6, Options, Labels, IPAM } = request;
  return {
    kind: 'config-only',
    name: request.Name,
    labels: Labels ?? {},
    options: Options ?? {},
    template: { EnableIPv4, EnableIPv6, Options, Labels, IPAM },
  };
}

function fromConfig(request: Body, name: string, context: RequestContext): Body {
  const enabled = enabledFamilies(request, request.Options ?? {});
  const { Driver: driver, Options: ipamOptions, Config: configs } = request.IPAM ?? {};
  const own = (driver || 'default') !== 'default' || enabled.ipv6 || !enabled.ipv4;
  if (own || [request.Labels, ipamOptions, configs].some((each) => Object.keys(each ?? {}).length > 0)) {
    throw forbidden(
      'user specified configurations are not supported if the network depends on a configuration network',
    );
  }
  if (Object.keys(request.Options ?? {}).length > 0) {
    throw forbidden(
      'network driver options are not supported if the network depends on a configuration network',
    );
  }
  const config = context.configNetwork(name);
  if (config === undefined) throw notFound(`configuration network ${JSON.stringify(name)} does not exist`);
  const { Name: _none, ...template } = body.partial().parse(config.template);
  return { ...request, ...template, Name: request.Name };
}

function checkDriver(driver: string): void {
  if (driver === 'bridge' || driver === 'macvlan' || driver === 'overlay') return;
  if (driver === 'ipvlan') throw notImplemented(`the network driver ${driver}`);
  if (driver === 'host' || driver === 'null') {
    throw forbidden(`only one instance of "${driver}" network is allowed`);
  }
  throw notFound(`plugin "${driver}" not found`);
}
