import type { Cause } from '../../src/model/cause.ts';
import { MACVLAN_BREAKAGES } from './macvlan-breakages.ts';
import { HOST, OUTSIDE } from './namespaces.ts';

/** A way to break connectivity by hand, and what `gangway why` has to say of it. */
export interface Breakage {
  readonly name: string;
  /** Shell in the machine, with the functions of SHELL, beside the containers web (published on 8080) and db on lamp. */
  readonly how: string;
  readonly from: string;
  readonly to: string;
  readonly cause: Cause;
  /** Of the sentence. */
  readonly words: RegExp;
  /** Kept up while the question is asked: what the engine would put right by itself. */
  readonly again?: string;
  /** Instead of the command that the answer suggests, and why that is not run here. */
  readonly mend?: { readonly by: string; readonly because: string };
  /** What the suggested command sets is of the whole machine and not to be written in a namespace: it is put back. */
  readonly wholeMachine?: string;
  /** `yes`: small packets pass, so the answer is yes with a cause. */
  readonly reachable?: true;
}

export const SHELL = `
pid() { docker inspect -f '{{.State.Pid}}' $1; }
in_() { c=$1; shift; nsenter -t $(pid $c) -n "$@"; }
bridge() { echo br-$(docker network inspect -f '{{.Id}}' $1 | cut -c1-12); }
veth() { i=$(in_ $1 ip -o link show eth0 | sed 's/.*@if\\([0-9]*\\):.*/\\1/'); ip -o link | sed -n "s/^$i: \\([^@:]*\\).*/\\1/p"; }
address() { docker inspect -f "{{.NetworkSettings.Networks.$2.IPAddress}}" $1; }
serve() { name=$1; at=$2; shift 2
  docker run -d --name $name "$@" busybox sh -c "mkdir -p /w; echo $name >/w/index.html; exec httpd -f -h /w -p $at"; }
`;

const PAIR = { from: 'web', to: 'db:80' } as const;
const PUBLISHED = { from: 'outside', to: 'web:80' } as const;
const OUT = { from: 'web', to: `${OUTSIDE}:7000` } as const;
const foreign = { cause: 'foreign-rule' } as const;
const forward =
  "nft 'add table inet mine; add chain inet mine through { type filter hook forward priority 0; }'";

export const BREAKAGES: readonly Breakage[] = [
  {
    name: 'an nft rule drops a port between two containers',
    how: `${forward}; nft add rule inet mine through tcp dport 80 drop`,
    ...PAIR,
    ...foreign,
    words: /table inet mine, chain through: tcp dport 80 drop/,
  },
  {
    name: 'an nft rule with a set drops an address',
    how: `${forward}; nft add set inet mine bad '{ type ipv4_addr; flags interval; elements = { ${OUTSIDE}/31 } }'
      nft add rule inet mine through ip saddr @bad counter drop`,
    ...PUBLISHED,
    ...foreign,
    words: /ip saddr @bad/,
  },
  {
    name: 'an nft rule drops before connection tracking',
    how: `nft 'add table ip early; add chain ip early pre { type filter hook prerouting priority -300; }'
      nft add rule ip early pre tcp dport 8080 drop`,
    ...PUBLISHED,
    ...foreign,
    words: /table ip early, chain pre/,
  },
  {
    name: 'an nft rule keeps it from being tracked',
    how: `nft 'add table ip early; add chain ip early pre { type filter hook prerouting priority -300; }'
      nft add rule ip early pre tcp dport 8080 notrack`,
    ...PUBLISHED,
    ...foreign,
    words: /leaves it untracked in the host.*: table ip early, chain pre: tcp dport 8080 notrack/,
  },
  {
    name: 'a rule of the bridge family drops',
    how: `nft 'add table bridge mine; add chain bridge mine through { type filter hook forward priority 0; }'
      nft add rule bridge mine through ip daddr $(address db lamp) drop`,
    ...PAIR,
    ...foreign,
    words: /table bridge mine/,
  },
  {
    name: 'iptables -A FORWARD -j DROP',
    how: 'iptables -A FORWARD -p tcp --dport 80 -j DROP',
    ...PUBLISHED,
    ...foreign,
    words: /table ip filter, chain FORWARD: tcp dport 80/,
  },
  {
    name: 'iptables -m multiport -j REJECT',
    how: 'iptables -A FORWARD -p tcp -m multiport --dports 80,443 -j REJECT',
    ...PAIR,
    ...foreign,
    words: /rejects it.*tcp dport \{ 80, 443 \}/,
  },
  {
    name: 'iptables -P FORWARD DROP',
    how: 'iptables -P FORWARD DROP',
    ...PUBLISHED,
    ...foreign,
    words: /the policy of table ip filter, chain FORWARD/,
  },
  {
    name: 'iptables lets new connections pass and drops the answers',
    how: 'iptables -A FORWARD -m conntrack --ctstate ESTABLISHED -j DROP',
    ...PUBLISHED,
    ...foreign,
    words: /drops the answer/,
  },
  {
    name: 'iptables -A INPUT of the host, asked by a container',
    how: `iptables -A INPUT -i $(bridge lamp) -j DROP`,
    from: 'web',
    to: 'host:7001',
    ...foreign,
    words: /chain INPUT/,
  },
  {
    name: 'an nft rule inside the container that is asked',
    how: `in_ db nft 'add table ip in; add chain ip in input { type filter hook input priority 0; }; add rule ip in input tcp dport 80 drop'`,
    ...PAIR,
    ...foreign,
    words: /drops it in db: table ip in, chain input/,
  },
  {
    name: 'iptables inside the container that asks',
    how: 'in_ web iptables -A OUTPUT -p tcp -j REJECT',
    ...PAIR,
    ...foreign,
    words: /rejects it in web/,
  },
  {
    name: 'iptables-legacy -A FORWARD -j DROP',
    how: 'iptables-legacy -A FORWARD -d $(address web lamp) -p tcp --dport 80 -j DROP',
    ...PUBLISHED,
    ...foreign,
    words:
      /drops it in the host: iptables-legacy table filter, chain FORWARD: -d [\d.]+\/32 -p tcp -m tcp --dport 80 -j DROP/,
  },
  {
    name: 'iptables-legacy: a chain that is jumped to rejects',
    how: `iptables-legacy -N mine; iptables-legacy -A FORWARD -i br-+ ! -s 192.0.2.0/24 -j mine
      iptables-legacy -A mine -p tcp -m multiport --dports 79,80:90 -m comment --comment "it's \\$mine" -j REJECT`,
    ...PAIR,
    ...foreign,
    words: /rejects it in the host: iptables-legacy table filter, chain mine: .*--dports 79,80:90/,
  },
  {
    name: 'iptables-legacy drops before connection tracking (raw)',
    how: 'iptables-legacy -t raw -A PREROUTING -p tcp --dport 8080 -j DROP',
    ...PUBLISHED,
    ...foreign,
    words: /iptables-legacy table raw, chain PREROUTING: -p tcp -m tcp --dport 8080 -j DROP/,
  },
  {
    name: 'iptables-legacy keeps it from being tracked',
    how: 'iptables-legacy -t raw -A PREROUTING -p tcp --dport 8080 -j CT --notrack',
    ...PUBLISHED,
    ...foreign,
    words: /leaves it untracked in the host.*: iptables-legacy table raw, chain PREROUTING: .*--notrack/,
  },
  {
    name: 'iptables-legacy -P FORWARD DROP, and an accept for other containers alone',
    how: `iptables-legacy -P FORWARD DROP; iptables-legacy -A FORWARD -o $(bridge lamp) -d 172.31.255.1 -j ACCEPT
      iptables-legacy -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    ...PUBLISHED,
    ...foreign,
    words: /the policy of iptables-legacy table filter, chain FORWARD/,
  },
  {
    name: 'iptables-legacy drops the answers (tcp flags)',
    how: 'iptables-legacy -t mangle -A FORWARD -p tcp --tcp-flags SYN,ACK SYN,ACK -j DROP',
    ...PUBLISHED,
    ...foreign,
    words: /drops the answer in the host: iptables-legacy table mangle/,
  },
  {
    name: 'iptables-legacy inside the container that is asked',
    how: 'in_ db iptables-legacy -A INPUT -p tcp --syn -j DROP',
    ...PAIR,
    ...foreign,
    words: /drops it in db: iptables-legacy table filter, chain INPUT/,
  },
  {
    name: 'a firewalld-like zone',
    how: `nft -f - <<'END'
table inet firewalld {
  chain filter_FORWARD { type filter hook forward priority 10; policy accept;
    ct state established,related accept;
    iifname "lo" accept
    jump filter_FORWARD_ZONES
    reject with icmpx type admin-prohibited
  }
  chain filter_FORWARD_ZONES { 
    iifname "up0" goto filter_FWD_public
    goto filter_FWD_trusted
  }
  chain filter_FWD_public { jump filter_FWD_public_deny
    reject with icmpx type admin-prohibited
  }
  chain filter_FWD_public_deny { }
  chain filter_FWD_trusted {
    accept
  }
}
END`,
    ...PUBLISHED,
    ...foreign,
    words: /table inet firewalld, chain filter_FWD_public: reject/,
  },
  {
    name: 'the default route is deleted in the container that asks',
    how: 'in_ web ip route del default',
    ...OUT,
    cause: 'no-route',
    words: /web has no route to/,
  },
  {
    name: 'the default route is deleted in the container that is asked: no answer comes back',
    how: 'in_ web ip route del default',
    ...PUBLISHED,
    cause: 'no-route',
    words: /the answer does not come back: web has no route to/,
  },
  {
    name: 'a blackhole route on the host',
    how: `ip route add blackhole ${OUTSIDE}/32`,
    ...OUT,
    cause: 'no-route',
    words: /a route of the host says/,
  },
  {
    name: 'a policy rule that prohibits what a container sends',
    how: 'ip rule add pref 90 from $(address web lamp) iif $(bridge lamp) prohibit',
    ...OUT,
    cause: 'no-route',
    words: /the rule "pref 90 from [\d.]+\/32 iif br-\w+ prohibit" of the host says that/,
  },
  {
    name: 'a policy rule that leads to a table with a blackhole route',
    how: `ip route add blackhole default table 77; ip rule add pref 91 to $(address web lamp)/24 ipproto tcp dport 80 lookup 77`,
    ...PUBLISHED,
    cause: 'no-route',
    words:
      /a route of table 77 says .*, and the rule "pref 91 .* ipproto tcp dport 80 lookup 77" of the host leads there/,
  },
  {
    name: 'a policy rule for a mark that iptables-legacy sets',
    how: `iptables-legacy -t mangle -A PREROUTING -i br-+ -p tcp -j MARK --set-mark 7
      ip route add ${OUTSIDE}/32 dev docker0 table 78; ip rule add pref 92 fwmark 7 lookup 78`,
    ...OUT,
    cause: 'no-route',
    words:
      /rule isolation of Gangway drops it; the rule "pref 92 from all fwmark 0x7 lookup 78" of the host sends it there/,
  },
  {
    name: 'a policy rule inside, by which answers take another way',
    how: 'in_ web ip rule add pref 93 from $(address web lamp) unreachable',
    ...PUBLISHED,
    cause: 'no-route',
    words: /the answer does not come back: the rule "pref 93 .* unreachable" of web/,
  },
  {
    name: 'a policy rule that leads away from the bridge',
    how: `ip route add default via ${OUTSIDE} table 79; ip rule add pref 94 to $(address web lamp) lookup 79`,
    ...PUBLISHED,
    cause: 'no-route',
    words: /it leaves this host by up0.*; the rule "pref 94 .* lookup 79" of the host sends it there/,
  },
  {
    name: 'a smaller MTU in the container that is asked',
    how: 'in_ db ip link set eth0 mtu 1200',
    ...PAIR,
    cause: 'mtu',
    words: /1500 bytes.*takes 1200/,
    reachable: true,
  },
  {
    name: 'the program listens on 127.0.0.1',
    how: 'docker rm -f db; serve db 127.0.0.1:80 --network lamp',
    ...PAIR,
    cause: 'listens-on-loopback',
    words: /in db .*busybox|httpd.* listens on 127.0.0.1:80/,
  },
  {
    name: 'the program listens on the address of another network',
    how: `docker rm -f db; docker network create --subnet 10.99.0.0/24 other
      docker create --name db --network lamp busybox sh -c 'mkdir -p /w; echo db >/w/index.html; sleep 1; exec httpd -f -h /w -p 10.99.0.77:80'
      docker network connect --ip 10.99.0.77 other db; docker start db; sleep 1.5`,
    ...PAIR,
    cause: 'listens-on-other-address',
    words: /listens on 10.99.0.77:80, and 172/,
  },
  {
    name: 'nothing listens: the program ended',
    how: `docker rm -f db; docker run -d --name db --network lamp busybox sh -c 'mkdir -p /w; echo db >/w/index.html; httpd -h /w -p 80; exec sleep 1000'; sleep 0.5
      docker exec db killall httpd`,
    ...PAIR,
    cause: 'nothing-listens',
    words: /nothing listens on port 80\/tcp there/,
  },
  {
    name: 'docker stop',
    how: 'docker stop -t 0 db',
    ...PAIR,
    cause: 'container-stopped',
    words: /db does not run/,
  },
  { name: 'docker pause', how: 'docker pause db', ...PAIR, cause: 'container-paused', words: /db is paused/ },
  {
    name: 'a container that ends again and again',
    // After its fifth end it is waited for 1.6 seconds, in which nothing of it runs.
    how: `docker rm -f db; docker run -d --name db --network lamp --restart always busybox sh -c 'test -e /w/ok && exec httpd -f -h /w -p 80; exit 1'
      until [ "$(docker inspect -f '{{.RestartCount}} {{.State.Status}}' db)" = '5 restarting' ]; do sleep 0.05; done`,
    ...PAIR,
    cause: 'container-restarting',
    words: /db ends again and again/,
    mend: {
      by: 'docker rm -f db; serve db 80 --network lamp',
      because: 'docker logs tells what is wrong with the program, and no command can mend that',
    },
  },
  {
    name: 'forwarding is switched off',
    how: 'sysctl -qw net.ipv4.ip_forward=0',
    ...PUBLISHED,
    cause: 'forwarding-off',
    words: /the host forwards no packets/,
  },
  {
    name: 'strict reverse path filtering, and the way back is another',
    how: `nsenter -t $OUTSIDE_PID -n ip addr add 203.0.113.9/32 dev lo
      ip link add up1 type veth peer name wire1; ip link set wire1 netns $OUTSIDE_PID
      ip addr add 192.0.2.1/30 dev up1; ip link set up1 up
      nsenter -t $OUTSIDE_PID -n sh -c 'ip addr add 192.0.2.2/30 dev wire1; ip link set wire1 up'
      ip route add 203.0.113.9/32 via 192.0.2.2
      sysctl -qw net.ipv4.conf.up0.rp_filter=1`,
    from: '203.0.113.9',
    to: 'web:80',
    cause: 'rp-filter',
    words: /takes nothing from 203.0.113.9 by up0/,
  },
  {
    name: 'the port of the bridge is taken out of it',
    how: 'true',
    again: 'ip link set $(veth db) nomaster',
    ...PAIR,
    cause: 'link-broken',
    words: /is a port of no bridge/,
  },
  {
    name: 'the interface inside is down',
    how: 'in_ db ip link set eth0 down',
    ...PAIR,
    cause: 'link-broken',
    words: /eth0 of db is down/,
  },
  {
    name: 'the address inside is deleted',
    how: 'in_ db ip addr flush dev eth0',
    ...PAIR,
    cause: 'link-broken',
    words: /nobody behind br-\w+ has the address/,
  },
  {
    name: 'a name that is mistyped',
    how: 'true',
    from: 'web',
    to: 'dbb:80',
    cause: 'name-unknown',
    words: /nobody has the name dbb for web, which is on lamp; did you mean db\?/,
  },
  {
    name: 'names on the default network',
    how: 'docker rm -f db web; serve db 80; serve web 80',
    ...PAIR,
    cause: 'name-unknown',
    words: /on the network bridge containers have no names/,
  },
  {
    name: 'the wrong network',
    how: 'docker rm -f db; docker network create other; serve db 80 --network other',
    ...PAIR,
    cause: 'no-common-network',
    words: /web is on lamp, db is on other; networks are isolated/,
  },
  {
    name: 'an internal network, and the way out',
    how: 'docker rm -f web; docker network create --internal other; serve web 80 --network other',
    ...OUT,
    cause: 'internal-network',
    words: /other is internal/,
  },
  {
    name: 'an internal network, and a container elsewhere',
    how: 'docker rm -f db; docker network create --internal other; serve db 80 --network other',
    ...PAIR,
    cause: 'internal-network',
    words: /web is on lamp, db is on other; other is internal/,
  },
  {
    name: 'a network that keeps its containers apart (icc=false)',
    how: `docker rm -f db web; docker network create -o com.docker.network.bridge.enable_icc=false other
      serve db 80 --network other; serve web 80 --network other`,
    ...PAIR,
    cause: 'icc-off',
    words: /other keeps its containers apart/,
  },
  {
    name: 'a port that is not published',
    how: 'true',
    from: 'outside',
    to: 'db:80',
    cause: 'unpublished',
    words: /db does not publish port 80\/tcp/,
  },
  {
    name: 'published on 127.0.0.1',
    how: 'docker rm -f web; serve web 80 --network lamp -p 127.0.0.1:8080:80',
    ...PUBLISHED,
    cause: 'published-on-other-address',
    words: /web publishes port 80\/tcp on 127.0.0.1:8080, for programs of the host alone/,
  },
  {
    name: 'the host port is taken by another program',
    how: `busybox httpd -f -p 8081 >/dev/null 2>&1 & echo $! > $DIRECTORY/taker; sleep 0.5
      docker rm -f db; serve db 80 --network lamp -p 8081:80 || true`,
    from: 'outside',
    to: 'db:80',
    cause: 'host-port-taken',
    words: /db did not start, since its host port is taken: busybox \(pid \d+\)/,
  },
  {
    name: 'a container without a network',
    how: 'docker rm -f web; serve web 80 --network none',
    ...OUT,
    cause: 'no-network',
    words: /web has no network but loopback/,
  },
  {
    name: 'a port that is not open on a routed network',
    how: `docker rm -f db; docker network create -o com.docker.network.bridge.gateway_mode_ipv4=routed other
      serve db 80 --network other; nsenter -t $OUTSIDE_PID -n ip route replace $(address db other)/32 via ${HOST}`,
    from: 'outside',
    to: 'db:80',
    cause: 'port-not-open',
    words: /port 80\/tcp of db is not among its open ones/,
  },
  {
    name: 'the table of tracked connections is full',
    how: `node $CHECKOUT/test/e2e/fill-conntrack.ts >$DIRECTORY/filler 2>&1 & echo $! >$DIRECTORY/taker
      until grep -q FULL $DIRECTORY/filler; do sleep 0.1; done`,
    again: 'sleep 1',
    ...PUBLISHED,
    cause: 'conntrack-full',
    words: /tracks \d+ connections and may track \d+/,
    wholeMachine: 'net/netfilter/nf_conntrack_max',
  },
  ...MACVLAN_BREAKAGES,
];
