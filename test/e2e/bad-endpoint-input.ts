import { chosen, type Request, type Row } from './bad-input-row.ts';

/** Containers that the rows speak of, on networks of bad-network-input.ts. */
export const CONTAINERS: Readonly<Record<string, string>> = {
  holder: '--network dual --ip 10.8.0.9 --ip6 fd00:8::9',
  only: '--network tiny',
};

const connect = (network: string, settings: object = {}, container = 'taken'): Request => [
  'POST',
  `/networks/${network}/connect`,
  JSON.stringify({ Container: container, EndpointConfig: settings }),
];
const address = (network: string, IPAMConfig: object): Request => connect(network, { IPAMConfig });
const endpoint = (name: string, value: string): Request =>
  connect('four', { DriverOpts: { [`com.docker.network.endpoint.${name}`]: value } });

const settings = (words: string): string => `invalid endpoint settings:\n${words}`;
const notSysctl = (text: string): string =>
  settings(
    `unrecognised network interface sysctl '${text}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'`,
  );
const notSixth = /^invalid endpoint settings:\n(\* )?invalid IPv6 address: \S+/;

const endpoints: readonly Row<Request>[] = [
  [
    address('dual', { IPv6Address: 'fd00:9::1' }),
    400,
    settings('no configured subnet or ip-range contain the IP address fd00:9::1'),
  ],
  [address('dual', { IPv6Address: 'fd00:8::9' }), 403, 'Address already in use'],
  [address('dual', { IPv6Address: 'fd00:8::1' }), 403, 'Address already in use'],
  [address('dual', { IPv4Address: '10.8.0.9' }), 403, 'Address already in use'],
  [address('dual', { IPv6Address: 'nonsense' }), 400, notSixth],
  [address('dual', { IPv6Address: '10.8.0.7' }), 400, notSixth],
  [connect('dual', {}, 'holder'), 403, 'endpoint with name holder already exists in network dual'],
  [
    connect('tiny'),
    500,
    /^no available IPv4 addresses on this network's address pools: tiny \([0-9a-f]{64}\)$/,
  ],
  [connect('four', { MacAddress: '02:42:00:00:00' }), 400, 'invalid MAC address 02:42:00:00:00'],
  [
    address('four', { LinkLocalIPs: ['169.254.1.1/16'] }),
    400,
    settings('invalid link-local IP address: 169.254.1.1/16'),
  ],
  [address('four', { LinkLocalIPs: ['8.8.8.8'] }), 400, 'invalid link local IP address: 8.8.8.8'],
  [
    endpoint('sysctls', 'net.ipv4.conf.eth0.log_martians=1'),
    400,
    notSysctl('net.ipv4.conf.eth0.log_martians=1'),
  ],
  [endpoint('sysctls', 'net.ipv4.conf.IFNAME.forwarding=1,kernel.x=2'), 400, notSysctl('kernel.x=2')],
  [
    endpoint('sysctls', 'net.ipv4.conf.IFNAME.forwarding'),
    400,
    settings("expected sysctl 'net.ipv4.conf.IFNAME.forwarding' to have format name=value"),
    [500, /expected sysctl 'net\.ipv4\.conf\.IFNAME\.forwarding' to have format name=value$/],
  ],
  [
    endpoint('sysctls', 'net.ipv4.conf.IFNAME.nosuch=1'),
    500,
    /^no such setting: net\/ipv4\/conf\/eth\d\/nosuch$/,
    [500, /eth\d\/nosuch is not a sysctl file$/],
  ],
  [
    endpoint('ifname', 'a/b'),
    400,
    /^invalid endpoint settings:\ninvalid interface name: "a\/b"/,
    [500, /error renaming interface .* to "a\/b": invalid argument$/],
  ],
  [
    endpoint('ifname', 'eth0'),
    400,
    'interface name eth0 is in use in the container already',
    [500, /error renaming interface .* to "eth0": file exists$/],
  ],
];

export const endpointRequests = endpoints.map((row) => chosen(row));

const ifNames = (first: string, second: string): string =>
  [
    `dual,driver-opt=com.docker.network.endpoint.ifname=${first}`,
    `four,driver-opt=com.docker.network.endpoint.ifname=${second}`,
  ]
    .map((text) => `--network name=${text}`)
    .join(' ');

export const networkCommands = (
  [
    ['network create --ipv4=false bad', 1, /IPv4 or IPv6 must be enabled/],
    ['network create --ipv6 --subnet fd00:8::/64 bad', 1, /Pool overlaps with other one/],
    ['network create --config-from nowhere bad', 1, /configuration network "nowhere" does not exist/],
    ['network rm template', 1, /configuration network "template" is in use/],
    ['network rm dual', 1, /network dual has active endpoints \(name:"holder" id:"[0-9a-f]{12}"\)/],
    ['network connect --ip6 fd00:8::9 dual taken', 1, /Address already in use/],
    [
      'run --network dual --ip6 fd00:9::1 busybox true',
      125,
      /invalid config for network dual: invalid endpoint settings:\nno configured subnet or ip-range contain the IP address fd00:9::1/,
    ],
    [
      'run --network dual --ip6 fd00:8::9 busybox true',
      125,
      /failed to set up container networking: Address already in use/,
    ],
    ['run --network dual --ip6 nonsense busybox true', 125, /invalid IPv6 address: nonsense/],
    [
      'run --ip6 fd00::7 busybox true',
      125,
      /user specified IP address is supported on user defined networks only/,
    ],
    [
      'run --network tiny busybox true',
      125,
      /failed to set up container networking: no available IPv4 addresses on this network's address pools: tiny/,
    ],
    [
      'run --network dual --link-local-ip fd00::9 busybox true',
      125,
      /failed to set up container networking: invalid link local IP address: fd00::9/,
    ],
    [
      `run ${ifNames('eth7', 'eth7')} busybox true`,
      125,
      /interface name eth7 is in use in the container already/,
      [125, /error renaming interface "veth[0-9a-f]{7}" to "eth7": file exists/],
    ],
    // The reference engine has a proxy process that takes bytes from one family to the other.
    [
      'run --network four -p [::1]:8082:80 busybox true',
      125,
      /cannot publish a port on ::1: network four has no IPv6 \(create it with --ipv6\)/,
      [0, ''],
    ],
    [
      'run --network six -p 127.0.0.1:8083:80 busybox true',
      125,
      /cannot publish a port on 127\.0\.0\.1: network six has no IPv4 \(create it without --ipv4=false\)/,
      [0, ''],
    ],
    [
      'run --network dual -p [2001:db8::77]:8085:80 busybox true',
      125,
      /failed to bind host port for \[2001:db8::77\]:8085:\[fd00:8::[0-9a-f]+\]:80\/tcp: cannot assign requested address/,
    ],
  ] satisfies readonly Row<string>[]
).map((row: Row<string>) => chosen(row));
