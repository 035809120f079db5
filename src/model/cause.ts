/**
 * Why a connection does not come about: a closed list. Each is told in one sentence in `explain/words.ts`, and
 * explained in `docs/why.md` with what mends it.
 */
const CAUSES = [
  /** FROM asks for a name that nobody has on the networks it is on. */
  'name-unknown',
  /** TO has no address of a family that FROM can use. */
  'no-address',
  'container-stopped',
  'container-restarting',
  'container-paused',
  /** `--net none`: nothing but loopback. */
  'no-network',
  'no-common-network',
  'internal-network',
  /** `enable_icc=false` on the network that both are on. */
  'icc-off',
  'unpublished',
  /** Published, on an address of the host that FROM does not ask. */
  'published-on-other-address',
  /** Another program of the host holds the port. */
  'host-port-taken',
  /** A routed or isolated network where this port is not among the open ones. */
  'port-not-open',
  'nothing-listens',
  /** The program listens on 127.0.0.1 or ::1 only. */
  'listens-on-loopback',
  /** The program listens on one address, which is not the one asked. */
  'listens-on-other-address',
  /** A rule that is not the engine's, named with table, chain and rule. */
  'foreign-rule',
  'forwarding-off',
  /** A device takes no packet of that source: strict reverse path filtering, or an address that cannot come from there. */
  'rp-filter',
  /** A container sends with an address or MAC that is another's. */
  'source-forged',
  /** It belongs to no connection that is known, as after a restart of one side. */
  'no-connection',
  /** Small packets pass and large ones vanish. */
  'mtu',
  'no-route',
  /** A bridge, a veth end or an interface that is missing, down, or out of its bridge. */
  'link-broken',
  'conntrack-full',
  /** A host of the cluster that is away, or whose tunnel (UDP 4789) does not pass. */
  'host-away',
  /** The answer comes from another address than the one that was asked. */
  'answer-from-elsewhere',
  /** br_netfilter translates answers to ::1 too early. */
  'bridge-firewall',
  /** A container on a macvlan network and the host it is on do not hear each other. */
  'macvlan-host',
  /** What the engine has made is not what it wants there now: its own rules or elements are missing. */
  'own-rules-missing',
  /** Beyond this host nothing answers. */
  'no-answer',
] as const;

export type Cause = (typeof CAUSES)[number];
