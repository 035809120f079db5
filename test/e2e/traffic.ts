/**
 * The test's own traffic, as a program to be run inside any network namespace (nsenter … node traffic.ts …).
 *   serve JSON   [{protocol, port, address?}…]; answers every client with `NAME CLIENT_ADDRESS SERVER_PORT`; argument 3 is NAME
 *   ask JSON     [{protocol, address, port}…]; prints a JSON list of the answers, `-` where none came. An address may be
 *                a name, to be asked of 127.0.0.11. Argument 3 is the patience in milliseconds
 */
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { connect, createServer, isIP } from 'node:net';

export interface Listener {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  readonly address?: string;
}
export interface Target {
  /** `http`: the page `/`, with its head. */
  readonly protocol: 'tcp' | 'udp' | 'http';
  readonly address: string;
  readonly port: number;
}

/** Milliseconds until no answer is taken for none; everything asked here is on this machine. */
let patience = 800;

/** Servers listen on both families: RFC 4291 §2.5.5.2. */
const plain = (address = ''): string => address.replace(/^::ffff:/, '');

function serve(listener: Listener, name: string): Promise<void> {
  const { port, address = '::' } = listener;
  return new Promise((resolve, reject) => {
    if (listener.protocol === 'tcp') {
      const server = createServer((socket) => {
        socket.on('error', () => {});
        socket.end(`${name} ${plain(socket.remoteAddress)} ${port}`);
      });
      server.on('error', reject).listen(port, address, resolve);
    } else {
      const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
      socket.on('message', (_, from) =>
        socket.send(`${name} ${plain(from.address)} ${port}`, from.port, from.address),
      );
      socket.on('error', reject).bind(port, address, resolve);
    }
  });
}

function askTcp(target: Target): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(target.port, target.address);
    let text = '';
    socket.setTimeout(patience, () => socket.destroy());
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    if (target.protocol === 'http') socket.write('GET / HTTP/1.0\r\n\r\n');
    socket.on('error', () => {});
    socket.on('close', () => resolve(text === '' ? '-' : text));
  });
}

function askUdp(target: Target): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(target.address.includes(':') ? 'udp6' : 'udp4');
    let over = false;
    const finish = (text: string): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      socket.close();
      resolve(text);
    };
    const timer = setTimeout(() => finish('-'), patience);
    // Connected, so that only an answer from the address asked counts.
    socket.on('error', () => finish('-'));
    socket.connect(target.port, target.address, (error?: Error) => {
      if (error) finish('-');
      else socket.send('?');
    });
    socket.on('message', (text) => finish(text.toString()));
  });
}

async function ask(target: Target): Promise<string> {
  const one = target.protocol === 'udp' ? askUdp : askTcp;
  if (isIP(target.address) !== 0) return one(target);
  for (const address of await resolve(target.address)) {
    const answer = await one({ ...target, address });
    if (answer !== '-') return answer;
  }
  return '-';
}

/** As glibc does it in a container: both families. */
async function resolve(name: string): Promise<string[]> {
  const resolver = new Resolver({ timeout: patience, tries: 1 });
  resolver.setServers(['127.0.0.11']);
  const found = await Promise.all([
    resolver.resolve4(name).catch(() => []),
    resolver.resolve6(name).catch(() => []),
  ]);
  return found.flat();
}

if (import.meta.main) {
  const [verb, list = '[]', name = 'server'] = process.argv.slice(2);
  if (verb === 'serve') {
    await Promise.all((JSON.parse(list) as Listener[]).map((listener) => serve(listener, name)));
    console.log('SERVING');
  } else {
    const targets = JSON.parse(list) as Target[];
    patience = Number(name) || patience;
    const answers = await Promise.all(targets.map(ask));
    console.log(JSON.stringify(answers));
  }
}
