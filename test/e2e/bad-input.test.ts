import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CONTAINERS, endpointRequests, networkCommands } from './bad-endpoint-input.ts';
import type { Words } from './bad-input-row.ts';
import { NETWORKS, networkRequests } from './bad-network-input.ts';
import { IS_GANGWAY } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { HOST } from './namespaces.ts';

/** Wrong input gets Docker's status and words, and nothing stays behind. */
let machine: Machine;
before(async () => {
  machine = await Machine.start();
  await machine.dockerOk('pull', '-q', 'busybox');
  await machine.dockerOk('run', '-d', '--name', 'taken', '-p', '8080:80', 'busybox', 'sleep', '1000');
  for (const [name, options] of Object.entries(NETWORKS))
    await machine.dockerOk('network', 'create', ...options.split(' '), name);
  for (const [name, options] of Object.entries(CONTAINERS))
    await machine.dockerOk('run', '-d', '--name', name, ...options.split(' '), 'busybox', 'sleep', '1000');
  const listen = `require('net').createServer().listen(9999,'0.0.0.0',()=>console.log('SERVING'))`;
  await machine.spawnHelper(machine.inMachine([process.execPath, '-e', listen]), 'SERVING');
  const registry = new URL('broken-registry.ts', import.meta.url).pathname;
  await machine.spawnHelper(machine.inMachine([process.execPath, registry, '5001', '5002']), 'SERVING');
});
after(() => machine.close());

/** docker arguments, exit status, and what the error says. `run` leaves a created container for late errors: it is removed. */
const commands: readonly (readonly [string, number, RegExp])[] = [
  ['run --no-such-flag busybox', 125, /unknown flag: --no-such-flag/],
  ['run -p 99999:80 busybox true', 125, /invalid (hostPort|publish opts|port)/i],
  ['run -p 80:80:80:80 busybox true', 125, /invalid/i],
  ['run -p 300.1.1.1:80:80 busybox true', 125, /invalid (IP|ip) address: 300\.1\.1\.1/],
  ['run -p 8000-8001:80-85 busybox true', 125, /invalid ranges specified for container and host/i],
  [
    'run -p 8080:80 busybox true',
    125,
    /driver failed programming external connectivity on endpoint \S+ \([0-9a-f]{64}\): (Bind for 0\.0\.0\.0:8080 failed: )?port is already allocated/,
  ],
  [
    'run -p 9999:80 busybox true',
    125,
    /failed to bind host port for 0\.0\.0\.0:9999:172\.17\.0\.\d+:80\/tcp: address already in use/,
  ],
  ['run -p 203.0.113.99:80:80 busybox true', 125, /cannot assign requested address/],
  [
    'run --name taken busybox true',
    125,
    /Conflict\. The container name "\/taken" is already in use by container "[0-9a-f]{64}"\. You have to remove \(or rename\) that container to be able to reuse that name\./,
  ],
  [
    'run --name sp@ce busybox true',
    125,
    /Invalid container name \(sp@ce\), only \[a-zA-Z0-9\]\[a-zA-Z0-9_\.-\] are allowed/,
  ],
  ['run --net nowhere busybox true', 125, /network nowhere not found/],
  ['run --net container:nobody busybox true', 125, /No such container: nobody/],
  [
    'run --net container:taken -p 81:80 busybox true',
    125,
    /conflicting options: port publishing and the container type network mode/,
  ],
  [
    'run --net container:taken --hostname x busybox true',
    125,
    /conflicting options: hostname and the network mode/,
  ],
  ['run --ip 172.17.0.9 busybox true', 125, /user[- ](configured|specified) (subnets|IP address)/i],
  ['run busybox no-such-program', 127, /exec: "no-such-program": executable file not found in \$PATH/],
  ['run busybox /etc', 126, /permission denied|is a directory/],
  [
    'run -w relative busybox true',
    125,
    /the working directory 'relative' is invalid, it needs to be an absolute path/,
  ],
  ['run -m 1k busybox true', 125, /Minimum memory limit allowed is 6MB/],
  ['run -v relative/path:/x busybox true', 125, /includes invalid characters for a local volume name/],
  ['run -v /x:relative busybox true', 125, /invalid mount path: 'relative' mount path must be absolute/],
  ['run --restart sometimes busybox true', 125, /invalid restart policy: unknown policy 'sometimes'/],
  [
    'run -u nobodyknows busybox true',
    125,
    /unable to find user nobodyknows: no matching entries in passwd file/,
  ],
  ['run nosuchimage.example:0/x busybox', 125, /invalid|dial|lookup|refused/i],
  [
    'run nosuchimage',
    125,
    /Get "https:\/\/registry-1\.docker\.io\/v2\/": dial tcp: lookup|manifest for nosuchimage:latest not found/,
  ],
  ['run UPPER', 125, /invalid reference format: repository name \(library\/UPPER\) must be lowercase/],
  ['rmi nosuch', 1, /No such image: nosuch/],
  ['start nobody', 1, /No such container: nobody/],
  ['stop nobody', 1, /No such container: nobody/],
  [
    'rm taken',
    1,
    /cannot remove container "taken": container is running: stop the container before removing or force remove/,
  ],
  ['exec nobody true', 1, /No such container: nobody/],
  ['exec taken no-such-program', 127, /exec: "no-such-program": executable file not found in \$PATH/],
  ['kill -s NOPE taken', 1, /[Ii]nvalid signal: NOPE/],
  ['inspect nobody', 1, /[Nn]o such object: nobody/],
  ['network rm nowhere', 1, /network nowhere not found/],
  ['network rm bridge', 1, /bridge is a pre-defined network and cannot be removed/],
  [
    'network create bridge',
    1,
    /operation is not permitted on predefined bridge network|network with name bridge already exists/,
  ],
  ['network create --subnet 10.0.0.1/8x bad', 1, /invalid subnet|invalid CIDR|invalid prefix/i],
  ['network create --subnet 172.17.0.0/16 clash', 1, /[Pp]ool overlaps with other one on this address space/],
  ['network create -d nodriver bad', 1, /could not find plugin nodriver|plugin "nodriver" not found/],
  ['volume rm nosuch', 1, /get nosuch: no such volume/],
  ['volume inspect nosuch', 1, /get nosuch: no such volume/],
  ['port taken 99', 1, /No public port '99' published for taken/],
  ['logs nobody', 1, /No such container: nobody/],
  ['ps --filter nonsense=1', 1, /invalid filter 'nonsense'/],
  [
    'pull localhost:5000/library/apache:nosuchtag',
    1,
    /manifest for localhost:5000\/library\/apache:nosuchtag not found: manifest unknown: manifest unknown/,
  ],
  ['pull localhost:5002/good', 1, /no basic auth credentials|authentication required|unauthorized/],
  ['pull localhost:5001/lying', 1, /filesystem layer verification failed for digest sha256:[0-9a-f]{64}/],
  ['pull localhost:5001/angry', 1, /unknown error|500|received unexpected HTTP status/],
  ['pull localhost:5001/garbled', 1, /unexpected end of JSON input|unexpected EOF|invalid|manifest/],
  [
    'pull localhost:5009/nobody',
    1,
    /dial tcp 127\.0\.0\.1:5009: connect: connection refused|connection refused/,
  ],
];

for (const [args, status, says] of [...commands, ...networkCommands]) {
  test(`docker ${args}`, async () => {
    const result = await machine.docker(...args.split(' '));
    const said = result.stderr + result.stdout;
    agree(said, says);
    assert.equal(result.status, status, said);
    await nothingStays();
  });
}

function agree(said: string, says: Words): void {
  if (typeof says === 'string') assert.equal(said, says);
  else assert.match(said, says);
}

const KEPT = ['taken', ...Object.keys(CONTAINERS)];
const KEPT_NETWORKS = ['bridge', 'host', 'none', ...Object.keys(NETWORKS)].sort();

/** `run` keeps the created container after a failed start, as Docker's does; once removed, nothing else is there. */
async function nothingStays(): Promise<void> {
  const stayed = (await machine.dockerOk('ps', '-a', '--format', '{{.Names}}'))
    .split('\n')
    .filter((n) => !KEPT.includes(n));
  if (stayed.length > 0) await machine.dockerOk('rm', '-f', ...stayed);
  const veths = (await machine.host(['ip', '-o', 'link', 'show', 'type', 'veth'])).stdout.match(
    /: veth[0-9a-f]{7}\b/g,
  );
  // The reference engine leaks a link when a port cannot be bound.
  if (IS_GANGWAY) assert.equal(veths?.length, KEPT.length, "only the running containers' links");
  // It takes some names that no interface can have, and fails later.
  else await machine.docker('network', 'rm', '-f', 'bad');
  const names = (await machine.dockerOk('network', 'ls', '--format', '{{.Name}}')).split('\n');
  assert.deepEqual(names.sort(), KEPT_NETWORKS);
  const images = await machine.dockerOk('images', '--format', '{{.Repository}}:{{.Tag}}');
  assert.equal(images, 'busybox:latest');
}

const create = (body: unknown): [string, string, string] => [
  'POST',
  '/containers/create',
  JSON.stringify(body),
];

/** A request as it goes over the wire, the status, and `message`. */
const requests: readonly (readonly [readonly [string, string, string?], number, RegExp])[] = [
  [['POST', '/containers/create', '{"Image": '], 400, /unexpected EOF|invalid JSON/],
  [['POST', '/containers/create', 'garbage'], 400, /invalid character 'g' looking for beginning of value/],
  [['POST', '/containers/create', '{"Image": 5}'], 400, /^\{"message":"inv.*\bImage\b/s],
  [
    ['POST', '/containers/create', ''],
    400,
    /invalid JSON: got EOF while reading request body|EOF|config cannot be empty/i,
  ],
  [create({ Image: 'nosuch' }), 404, /No such image: nosuch:latest/],
  [create({ Image: 'busybox', HostConfig: { NetworkMode: 'nowhere' } }), 201, /Id/],
  [
    create({ Image: 'busybox', HostConfig: { PortBindings: { '80/tcp': [{ HostPort: 'eighty' }] } } }),
    400,
    /invalid port specification: ..eighty/,
  ],
  [
    create({ Image: 'busybox', HostConfig: { PortBindings: { 'x/tcp': [{ HostPort: '80' }] } } }),
    400,
    /invalid (port specification|JSON)/,
  ],
  [['GET', '/containers/nobody/json'], 404, /No such container: nobody/],
  [['POST', '/containers/nobody/start'], 404, /No such container: nobody/],
  [['POST', '/containers/taken/start'], 304, /^$/],
  [['GET', '/containers/json?filters=nonsense'], 400, /invalid filter|invalid character/],
  [['GET', '/v1.99/info'], 400, /client version 1\.99 is too new\. Maximum supported API version is 1\.\d+/],
  [['GET', '/v1.10/info'], 400, /client version 1\.10 is too old\. Minimum supported API version is 1\.24/],
  [['GET', '/no/such/page'], 404, /page not found/],
  [['POST', '/swarm/leave'], 503, /This node is not part of a swarm/],
  [['GET', '/services'], 503, /This node is not a swarm manager/],
  [['POST', '/exec/nobody/start', '{}'], 404, /No such exec instance: nobody/],
];

for (const [[method, path, body], status, says] of requests) {
  test(`${method} ${path} ${body ?? ''}`, async () => {
    const answer = await machine.api(method, path, body);
    assert.match(answer.body, says);
    assert.equal(answer.status, status, answer.body);
    await nothingStays();
  });
}

for (const [[method, path, body], status, says] of [...networkRequests, ...endpointRequests]) {
  test(`${method} ${path} ${body ?? ''}`, async () => {
    const answer = await machine.api(method, path, body);
    const said = answer.status < 300 ? answer.body : String(JSON.parse(answer.body).message);
    agree(said.trim(), says);
    assert.equal(answer.status, status, answer.body);
    await nothingStays();
  });
}

test('all address pools used up; what is given back is found again', async () => {
  const pools = ['base=10.77.0.0/23,size=24', 'base=fd00:77::/64,size=64'];
  await using small = await Machine.start({
    registry: false,
    flags: pools.flatMap((pool) => ['--default-address-pool', pool]),
  });
  const create = (name: string, body: object = {}) =>
    small.api('POST', '/networks/create', JSON.stringify({ Name: name, ...body }));
  const full = {
    status: 400,
    message: 'all predefined address pools have been fully subnetted',
  };
  const refused = async (name: string, body?: object) => {
    const answer = await create(name, body);
    assert.deepEqual({ status: answer.status, ...JSON.parse(answer.body) }, full);
  };
  assert.equal((await create('first', { EnableIPv6: true })).status, 201);
  await refused('second');
  await refused('third', { EnableIPv4: false, EnableIPv6: true });
  assert.equal(
    await small.dockerOk('network', 'ls', '--format', '{{.Name}}'),
    ['bridge', 'first', 'host', 'none'].join('\n'),
  );
  await small.dockerOk('network', 'rm', 'first');
  assert.equal((await create('second', { EnableIPv6: true })).status, 201);
});

test('a layer cut for ever is an error; cut once it is fetched on', async () => {
  // The reference engine tries for more than a minute.
  if (IS_GANGWAY) {
    const cut = await machine.docker('pull', 'localhost:5001/cut');
    assert.notEqual(cut.status, 0);
    assert.match(cut.stderr, /unexpected EOF/);
    await nothingStays();
  }
  await machine.dockerOk('pull', '-q', 'localhost:5001/cut-once');
  await machine.dockerOk('rmi', 'localhost:5001/cut-once');
});

test('the right password opens, a wrong one does not', async () => {
  const auth = (password: string) =>
    Buffer.from(JSON.stringify({ username: 'captain', password, serveraddress: 'localhost:5002' })).toString(
      'base64url',
    );
  const pull = (password: string) =>
    machine.api('POST', '/images/create?fromImage=localhost:5002/good&tag=latest', '', {
      'x-registry-auth': auth(password),
    });
  const wrong = await pull('rope');
  assert.match(wrong.body, /unauthorized|authentication required|no basic auth credentials/);
  await nothingStays();
  const right = await pull('anchor');
  assert.equal(right.status, 200);
  assert.match(right.body, /Downloaded newer image for localhost:5002\/good:latest/);
  await machine.dockerOk('rmi', 'localhost:5002/good');
  await nothingStays();
});

test('the container of the beginning is untouched', async () => {
  await machine.serve(await machine.containerPid('taken'), 'taken', [{ protocol: 'tcp', port: 80 }]);
  const answer = await machine.ask(machine.namespaces.outside, [
    { protocol: 'tcp', address: HOST, port: 8080 },
  ]);
  assert.match(answer[0] ?? '', /^taken /);
});
