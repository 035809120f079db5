import type { Breakage } from './breakages.ts';
import { OUTSIDE } from './namespaces.ts';

/** `web` and `db` on the network of the uplink; `mode` may be `-o macvlan_mode=private`. */
const onLan = (mode = ''): string => `docker rm -f db web
  docker network create -d macvlan -o parent=up0 ${mode} --subnet 198.51.100.0/24 --gateway ${OUTSIDE} --ip-range 198.51.100.128/28 other
  serve db 80 --network other; serve web 80 --network other`;

/** Containers that are on the network of an interface of the host by a macvlan. */
export const MACVLAN_BREAKAGES: readonly Breakage[] = [
  {
    name: 'the host asks a container that is on a macvlan of its uplink',
    how: onLan(),
    from: 'host',
    to: 'db:80',
    cause: 'macvlan-host',
    words: /the kernel hands nothing on between a macvlan and the host it is on/,
  },
  {
    name: 'a container on a macvlan in private mode asks its neighbour',
    how: onLan('-o macvlan_mode=private'),
    from: 'web',
    to: 'db:80',
    cause: 'icc-off',
    words: /other keeps its containers apart \(macvlan_mode=private\)/,
  },
  {
    name: "a macvlan's parent is down",
    how: `${onLan()}; ip link set up0 down`,
    from: 'web',
    to: 'db:80',
    cause: 'link-broken',
    words: /up0 of the host is down/,
  },
];
