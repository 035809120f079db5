import { parseAttributes } from './netlink.ts';
import { NetlinkSocket } from './netlink-socket.ts';

const NETLINK_NETFILTER = 12;
/** NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN (linux/netfilter/nf_tables.h). */
const NFT_GETGEN = (10 << 8) | 16;
const NFTA_GEN_ID = 1;

/** Counts the transactions of nftables in the namespace it was made in: the same number, the same rules and elements. */
export class RulesetGeneration {
  readonly #netlink = new NetlinkSocket(NETLINK_NETFILTER);

  /** @throws KernelError */
  now(): number {
    const { payload } = this.#netlink.get(NFT_GETGEN, [Buffer.alloc(4)], 'ruleset generation');
    return parseAttributes(payload, 4).get(NFTA_GEN_ID)?.readUInt32BE(0) ?? 0;
  }

  close(): void {
    this.#netlink.close();
  }
}
