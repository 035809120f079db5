/** What of the host was looked at. */
const AREAS = ['cluster', 'firewall', 'kernel', 'addresses', 'leftovers', 'names', 'room'] as const;
export type Area = (typeof AREAS)[number];

/** Every finding there is; each is explained in `docs/doctor.md`. */
const FINDINGS = [
  'store-away',
  'host-away',
  'advertise-loopback',
  'advertise-gone',
  'advertise-twice',
  'advertise-taken',
  'advertise-unreachable',
  'vxlan-blocked',
  'mtu-black-hole',
  'clock-apart',
  'forward-chain',
  'forward-rule',
  'own-table',
  'forwarding-off',
  'bridge-nf',
  'rp-filter',
  'feature-missing',
  'conntrack-full',
  'clock-unset',
  'bridge-mtu',
  'route-overlap',
  'resolver-overlap',
  'network-full',
  'pools-used-up',
  'ports-used-up',
  'leftover',
  'drift',
  'gateway-network',
  'other-engine',
  'resolver-dead',
  'resolver-slow',
  'disk-full',
] as const;
export type FindingKind = (typeof FINDINGS)[number];

/** Something that breaks containers, or is about to. */
export interface Finding {
  readonly kind: FindingKind;
  readonly area: Area;
  /** `error`: something does not work now. `warning`: it will not, or not always. `note`: told, and not counted. */
  readonly severity: 'error' | 'warning' | 'note';
  /** What it is about: a host, an interface, a network, a chain. */
  readonly subject: string;
  /** One sentence. */
  readonly sentence: string;
  /** What was seen, a line each. */
  readonly evidence: readonly string[];
  /** Commands that mend it, to be run in this order; `#` begins a line for a person. */
  readonly fix: readonly string[];
}

/** Makes the findings of one area. */
export const findingsOf =
  (area: Area) =>
  (
    kind: FindingKind,
    severity: Finding['severity'],
    subject: string,
    sentence: string,
    evidence: readonly string[],
    fix: readonly string[],
  ): Finding => ({ kind, area, severity, subject, sentence, evidence, fix });

/** `GET /gangway/doctor` */
export interface DoctorReport {
  readonly findings: readonly Finding[];
  /** Areas that were looked at. */
  readonly looked: readonly Area[];
  /** What could not be looked at, and why. */
  readonly unseen: readonly { readonly area: Area; readonly why: string }[];
}
