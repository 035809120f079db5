/**
 * Load through a published port, as a program to be run inside any network namespace.
 *   serve PORT              PORT ends every connection with one byte; PORT+1 sends as fast as it is read
 *   connections HOST PORT S connections a second, 32 at once, for S seconds
 *   paced HOST PORT S RATE  RATE connections a second for S seconds; prints how many of them were answered a second
 *   stream HOST PORT S      Gbit a second over 4 connections for S seconds
 *   steady HOST PORT        one connection after the other until SIGTERM; {"answered","failed","longest"}, the last in milliseconds
 */
import { connect, createServer, type Socket } from 'node:net';

const [verb, first = '', second = '', third = '2', fourth = '100'] = process.argv.slice(2);

function serve(port: number): void {
  const chunk = Buffer.alloc(1 << 20);
  createServer((socket) => socket.on('error', () => {}).end('.')).listen(port, '0.0.0.0', 1024, () => {
    createServer((socket) => {
      const pump = (): void => {
        while (!socket.destroyed && socket.write(chunk));
      };
      socket.on('error', () => {}).on('drain', pump);
      pump();
    }).listen(port + 1, '0.0.0.0', () => console.log('SERVING'));
  });
}

function connections(host: string, port: number, seconds: number): void {
  const begin = process.hrtime.bigint();
  const end = begin + BigInt(seconds * 1e9);
  let done = 0;
  let open = 0;
  const next = (): void => {
    if (process.hrtime.bigint() >= end) {
      if (open === 0) console.log((done / seconds).toFixed(0));
      return;
    }
    open++;
    const socket = connect(port, host);
    let answered = false;
    socket.on('data', () => {
      answered = true;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      open--;
      if (answered) done++;
      next();
    });
  };
  for (let i = 0; i < 32; i++) next();
}

/** What it falls behind it catches up with. */
function paced(host: string, port: number, seconds: number, rate: number): void {
  const begin = performance.now();
  let [begun, answered, open] = [0, 0, 0];
  const one = (): void => {
    open++;
    const socket = connect(port, host);
    socket.on('data', () => {
      answered++;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      open--;
    });
  };
  const timer = setInterval(() => {
    const elapsed = Math.min((performance.now() - begin) / 1000, seconds);
    for (; begun < elapsed * rate; begun++) one();
    if (elapsed < seconds || open > 0) return;
    clearInterval(timer);
    console.log((answered / seconds).toFixed(0));
  }, 5);
}

function stream(host: string, port: number, seconds: number): void {
  let bytes = 0;
  const buffer = Buffer.alloc(1 << 20);
  const sockets: Socket[] = Array.from({ length: 4 }, () =>
    connect({
      host,
      port,
      onread: {
        buffer,
        callback: (count: number) => {
          bytes += count;
          return true;
        },
      },
    }),
  );
  setTimeout(() => {
    console.log(((bytes * 8) / seconds / 1e9).toFixed(2));
    for (const socket of sockets) socket.destroy();
  }, seconds * 1000);
}

async function steady(host: string, port: number): Promise<void> {
  let ended = false;
  process.on('SIGTERM', () => {
    ended = true;
  });
  const count = { answered: 0, failed: 0, longest: 0 };
  console.log('ASKING');
  while (!ended) {
    const begin = performance.now();
    const answered = await new Promise<boolean>((resolve) => {
      let got = false;
      const socket = connect(port, host);
      socket.setTimeout(3000, () => socket.destroy());
      socket.on('data', () => {
        got = true;
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(got));
    });
    if (answered) count.answered++;
    else count.failed++;
    count.longest = Math.max(count.longest, performance.now() - begin);
    // Fewer than would come round to the same source ports within a run.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  console.log(JSON.stringify(count));
}

if (verb === 'serve') serve(Number(first));
else if (verb === 'connections') connections(first, Number(second), Number(third));
else if (verb === 'paced') paced(first, Number(second), Number(third), Number(fourth));
else if (verb === 'steady') await steady(first, Number(second));
else stream(first, Number(second), Number(third));
