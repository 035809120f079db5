import { type IfName, parseIfName } from '../../model/address.ts';
import { invalid, notImplemented } from '../../model/errors.ts';
import type { MacvlanMode } from '../../model/network.ts';
import { mtuOption } from './bridge-options.ts';

/** The options of the macvlan driver. */
export interface MacvlanWish {
  readonly parent: IfName;
  readonly mode: MacvlanMode;
  readonly mtu?: number;
  readonly ifPrefix?: string;
}

const MODES: readonly MacvlanMode[] = ['bridge', 'private', 'vepa', 'passthru'];

/**
 * `parent` and `macvlan_mode` (docs.docker.com, "Macvlan network driver"); others are kept and change nothing, as in
 * Docker.
 * @throws EngineError INVALID_PARAMETER, NOT_IMPLEMENTED for a parent that would have to be made
 */
export function parseMacvlanOptions(options: Readonly<Record<string, string>>): MacvlanWish {
  const { parent = '', macvlan_mode: mode = '' } = options;
  if (parent === '') throw notImplemented('a macvlan network without a parent (-o parent=eth0)');
  const known = MODES.find((each) => each === (mode || 'bridge'));
  if (known === undefined) {
    throw invalid(
      `requested macvlan mode '${mode}' is not valid, 'bridge' mode is the macvlan driver default`,
    );
  }
  const mtu = mtuOption(options);
  const prefix = options['com.docker.network.container_iface_prefix'];
  return {
    parent: parseIfName(parent),
    mode: known,
    ...(mtu !== undefined && { mtu }),
    ...(prefix && { ifPrefix: prefix }),
  };
}
