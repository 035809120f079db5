import type { Cause } from '../model/cause.ts';

/** Who sent what a rule of the engine's dropped. */
export interface DroppedFrom {
  readonly sender: 'container' | 'host' | 'outside';
  /** It came in by the bridge it would have gone out by. */
  readonly sameBridge: boolean;
}

/** Why a rule of the engine's own drops, by its id. */
export function causeOfRule(rule: string, { sender, sameBridge }: DroppedFrom): Cause {
  switch (rule) {
    case 'internal-out':
    case 'internal-in':
      return 'internal-network';
    case 'loopback-guard':
      return 'published-on-other-address';
    case 'isolation':
    case 'direct-access':
      if (sameBridge) return 'icc-off';
      return sender === 'container' ? 'no-common-network' : 'unpublished';
    case 'mac-spoof':
    case 'ip-spoof':
    case 'arp-spoof':
    case 'ip6-spoof':
    case 'nd-spoof':
    case 'foreign-source':
      return 'source-forged';
    case 'invalid':
      return 'no-connection';
    default:
      return 'own-rules-missing';
  }
}
