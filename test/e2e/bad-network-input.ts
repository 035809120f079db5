import { chosen, type Request, type Row } from './bad-input-row.ts';

/** Networks that the rows speak of; all stay as they are. */
export const NETWORKS: Readonly<Record<string, string>> = {
  four: '--subnet 10.9.0.0/24',
  dual: '--subnet 10.8.0.0/24 --ipv6 --subnet fd00:8::/64',
  six: '--ipv4=false --ipv6 --subnet fd00:6::/64',
  tiny: '--subnet 10.5.0.0/30',
  template: '--config-only --subnet 10.7.0.0/24',
  free: '--config-only',
  made: '--config-from template',
};

const create = (body: object): Request => [
  'POST',
  '/networks/create',
  JSON.stringify({ Name: 'bad', ...body }),
];
const six = (config: object, more: object = {}): Request =>
  create({ EnableIPv6: true, IPAM: { Config: [config] }, ...more });
const four = (config: object, more: object = {}): Request => create({ IPAM: { Config: [config] }, ...more });
const option = (name: string, value: string, more: object = {}): Request =>
  create({ Options: { [`com.docker.network.${name}`]: value }, ...more });
const connect = (network: string): Request => [
  'POST',
  `/networks/${network}/connect`,
  JSON.stringify({ Container: 'taken' }),
];

const config = (words: string): string => `invalid network config:\n${words}`;
const OVERLAPS = 'invalid pool request: Pool overlaps with other one on this address space';
const OWN_BESIDE_CONFIG =
  'user specified configurations are not supported if the network depends on a configuration network';
const ONLY_NETWORK_FIELDS =
  'configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.';
const NOT_ISOLATED = "gateway mode 'isolated' can only be used for an internal network";

const subnets: readonly Row<Request>[] = [
  [six({ Subnet: 'fd00:1::/129' }), 400, config('invalid subnet fd00:1::/129: invalid CIDR block notation')],
  [six({ Subnet: 'fd00:1::1/64' }), 400, config('invalid subnet fd00:1::1/64: it should be fd00:1::/64')],
  [six({ Subnet: 'fd00:zz::/64' }), 400, config('invalid subnet fd00:zz::/64: invalid CIDR block notation')],
  [six({ Subnet: 'fd00:8::/80' }), 403, OVERLAPS],
  [six({ Subnet: 'fd00:8::/48' }), 403, OVERLAPS],
  [four({ Subnet: '10.8.0.0/16' }), 403, OVERLAPS],
  [create({ IPAM: { Config: [{ Subnet: '10.92.0.0/24' }, { Subnet: '10.92.0.0/24' }] } }), 403, OVERLAPS],
  [
    create({ EnableIPv6: true, IPAM: { Config: [{ Subnet: 'fd00:92::/64' }, { Subnet: 'fd00:93::/64' }] } }),
    403,
    "bridge driver doesn't support multiple subnets",
  ],
  [six({ Subnet: 'ff0e::/64' }), 400, "multicast subnet 'ff0e::1/64' is not allowed"],
  [
    six({ Subnet: 'fd00:94::/128' }),
    500,
    'failed to allocate gateway (): no available addresses on this pool',
  ],
  [
    four({ Subnet: '10.8.0.7/24' }, { EnableIPv4: false, EnableIPv6: true }),
    400,
    config('invalid subnet 10.8.0.7/24: it should be 10.8.0.0/24'),
  ],
  [four({ Subnet: '10.1.0.0/33' }), 400, config('invalid subnet 10.1.0.0/33: invalid CIDR block notation')],
  [six({ Gateway: 'fd00:1::1' }), 400, config('invalid subnet : invalid CIDR block notation')],
  [
    four({ AuxiliaryAddresses: { a: '10.1.0.2' } }),
    400,
    config('invalid subnet : invalid CIDR block notation'),
  ],
  [create({ ConfigOnly: true, IPAM: { Config: [{ Subnet: 'x' }] } }), 400, /invalid subnet x: invalid CIDR/],
];

const inside = (what: string, subnet: string): string =>
  config(`invalid ${what}: parent subnet ${subnet} doesn't contain this address`);
const gateways: readonly Row<Request>[] = [
  [six({ Subnet: 'fd00:1::/64', Gateway: 'fd00:2::1' }), 400, inside('gateway fd00:2::1', 'fd00:1::/64')],
  [
    six({ Subnet: 'fd00:1::/64', Gateway: '10.1.0.1' }),
    400,
    config('invalid gateway 10.1.0.1: parent subnet is an IPv6 block'),
  ],
  [
    four({ Subnet: '10.1.0.0/24', Gateway: 'fd00::1' }),
    400,
    config('invalid gateway fd00::1: parent subnet is an IPv4 block'),
  ],
  [
    six({ Subnet: 'fd00:1::/64', Gateway: 'fd00:1::g' }),
    400,
    config('invalid gateway fd00:1::g: invalid address'),
  ],
  [
    six({ Subnet: 'fd00:95::/64', Gateway: 'fd00:95::' }),
    500,
    'failed to allocate gateway (fd00:95::): Address already in use',
  ],
  [
    four({ Subnet: '10.95.0.0/24', Gateway: '10.95.0.255' }),
    500,
    'failed to allocate gateway (10.95.0.255): Address already in use',
  ],
  [
    six({ Subnet: 'fd00:1::/64', IPRange: 'fd00:2::/80' }),
    400,
    config("invalid ip-range fd00:2::/80: parent subnet fd00:1::/64 doesn't contain ip-range"),
  ],
  [
    six({ Subnet: 'fd00:1::/64', IPRange: 'fd00:1::/48' }),
    400,
    config('invalid ip-range fd00:1::/48: CIDR block is bigger than its parent subnet fd00:1::/64'),
  ],
  [
    six({ Subnet: 'fd00:1::/64', IPRange: 'fd00:1::1/80' }),
    400,
    config('invalid ip-range fd00:1::1/80: it should be fd00:1::/80'),
  ],
  [
    six({ Subnet: 'fd00:1::/64', IPRange: '10.0.0.0/24' }),
    400,
    config('invalid ip-range 10.0.0.0/24: parent subnet is an IPv6 block'),
  ],
  [
    six({ Subnet: 'fd00:1::/64', IPRange: 'nonsense' }),
    400,
    config('invalid ip-range nonsense: invalid CIDR block notation'),
  ],
  [
    six({ Subnet: 'fd00:1::/64', AuxiliaryAddresses: { a: 'fd00:2::1' } }),
    400,
    inside('auxiliary address a', 'fd00:1::/64'),
  ],
  [
    six({ Subnet: 'fd00:96::/64', Gateway: 'fd00:96::1', AuxiliaryAddresses: { a: 'fd00:96::1' } }),
    500,
    'failed to allocate secondary ip address (a:fd00:96::1): Address already in use',
  ],
  [
    four({ Subnet: '10.1.0.7/24', Gateway: '10.2.0.1', IPRange: '10.3.0.1/25' }),
    400,
    config(
      [
        '* invalid subnet 10.1.0.7/24: it should be 10.1.0.0/24',
        '* invalid ip-range 10.3.0.1/25: it should be 10.3.0.0/25',
        "* invalid ip-range 10.3.0.1/25: parent subnet 10.1.0.7/24 doesn't contain ip-range",
        "* invalid gateway 10.2.0.1: parent subnet 10.1.0.7/24 doesn't contain this address",
      ].join('\n'),
    ),
  ],
];

const options: readonly Row<Request>[] = [
  [create({ EnableIPv4: false }), 400, 'IPv4 or IPv6 must be enabled'],
  [option('enable_ipv4', 'false'), 400, 'IPv4 or IPv6 must be enabled'],
  [option('enable_ipv6', 'maybe'), 400, 'driver-opt "com.docker.network.enable_ipv6" is not a valid bool'],
  ...['4', '6'].flatMap((family): readonly Row<Request>[] => {
    const name = `bridge.gateway_mode_ipv${family}`;
    const both = { EnableIPv6: true };
    const unknown = `failed to parse com.docker.network.${name} value: bridged (unknown gateway mode bridged)`;
    return [
      [option(name, 'bridged', both), 400, unknown],
      [option(name, 'isolated', both), 500, NOT_ISOLATED],
    ];
  }),
  [option('bridge.trusted_host_interfaces', 'up0:a b'), 400, /^invalid interface name: "a b"/, [201, /"Id"/]],
  [
    option('bridge.trusted_host_interfaces', 'aninterfacewithalongname'),
    400,
    /^invalid interface name: "aninterfacewithalongname"/,
    [201, /"Id"/],
  ],
  [
    option('host_ipv6', 'nonsense', { EnableIPv6: true }),
    400,
    'failed to parse com.docker.network.host_ipv6 value: nonsense (nil ip)',
  ],
  [
    option('host_ipv6', '10.0.0.1', { EnableIPv6: true }),
    400,
    'failed to parse com.docker.network.host_ipv6 value: 10.0.0.1 (nil ip)',
    [500, /Bad IP address "10\.0\.0\.1"/],
  ],
  [
    option('bridge.inhibit_ipv4', 'maybe'),
    400,
    'failed to parse com.docker.network.bridge.inhibit_ipv4 value: maybe (strconv.ParseBool: parsing "maybe": invalid syntax)',
  ],
  [option('driver.mtu', '-1'), 400, 'invalid MTU number: -1'],
  [option('driver.mtu', '70000'), 400, 'invalid MTU number: 70000', [500, 'invalid argument']],
  [option('bridge.name', 'a/b'), 400, /^invalid interface name: "a\/b"/, [500, 'invalid argument']],
  [option('bridge.name', 'docker0'), 403, /\(docker0\): networks have same bridge name$/],
  [
    option('advertise_addr_ms', '9'),
    500,
    'com.docker.network.advertise_addr_ms must be in the range 100 to 2000',
  ],
];

const configurations: readonly Row<Request>[] = [
  [create({ ConfigOnly: true, Internal: true }), 403, ONLY_NETWORK_FIELDS],
  [create({ ConfigOnly: true, Scope: 'local' }), 403, ONLY_NETWORK_FIELDS],
  [
    create({ ConfigOnly: true, ConfigFrom: { Network: 'template' } }),
    403,
    'a configuration network cannot depend on another configuration network',
  ],
  ...['nowhere', 'four'].map(
    (Network): Row<Request> => [
      create({ ConfigFrom: { Network } }),
      404,
      `configuration network "${Network}" does not exist`,
    ],
  ),
  ...[
    { IPAM: { Config: [{ Subnet: '10.1.0.0/24' }] } },
    { EnableIPv6: true },
    { EnableIPv4: false },
    { Labels: { a: 'b' } },
  ].map((own): Row<Request> => [create({ ConfigFrom: { Network: 'free' }, ...own }), 403, OWN_BESIDE_CONFIG]),
  [
    create({ ConfigFrom: { Network: 'free' }, Options: { a: 'b' } }),
    403,
    'network driver options are not supported if the network depends on a configuration network',
  ],
  [create({ ConfigFrom: { Network: 'template' } }), 403, OVERLAPS],
  [create({ Name: 'template', ConfigOnly: true }), 409, 'network with name template already exists'],
  [['DELETE', '/networks/template'], 403, /configuration network "template" is in use$/],
  [connect('template'), 403, 'cannot create endpoint on configuration-only network'],
];

export const networkRequests = [...subnets, ...gateways, ...options, ...configurations].map((row) =>
  chosen(row),
);
