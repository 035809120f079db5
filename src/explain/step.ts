import type { IfName, Ip, Prefix } from '../model/address.ts';
import type { PortRange, Protocol } from '../model/port.ts';

/** Where something is sent to or from; a range of ports stays a range. */
export interface Place {
  readonly address: Ip;
  readonly ports: PortRange;
}

/** One hop of a packet's way, as data; `words.ts` has the sentences. `rule` is the id of the rule that decided. */
export type Step =
  | {
      readonly kind: 'send';
      /** `127.0.0.1` publishes to the host alone. */
      readonly from: 'outside' | 'host';
      /** `0.0.0.0`: any address of the host. */
      readonly to: Place;
      readonly protocol: Protocol;
    }
  | { readonly kind: 'dnat'; readonly rule: string; readonly from: Place; readonly to: Place }
  | { readonly kind: 'route'; readonly to: Ip; readonly subnet: Prefix; readonly device: IfName }
  | { readonly kind: 'accept' | 'drop'; readonly rule: string }
  /** `from` is kept when no rule says otherwise. */
  | { readonly kind: 'source-kept' }
  | { readonly kind: 'masquerade'; readonly rule: string; readonly to: Ip }
  | {
      readonly kind: 'link';
      readonly from: IfName;
      readonly through: IfName;
      readonly to: IfName;
      readonly container: string;
    }
  | { readonly kind: 'deliver'; readonly container: string; readonly to: Place; readonly protocol: Protocol }
  | { readonly kind: 'answer'; readonly gateway: Ip | undefined; readonly device: IfName }
  /** Connection tracking undoes the rewriting, so that the asker sees the address it asked. */
  | { readonly kind: 'restore'; readonly from: Place; readonly to: Place };
