/** A name server for the tests: argument 1 is its address; it knows `printer.lan.test` and nothing else. */
import { createSocket } from 'node:dgram';
import { type DecodedPacket, decode, encode } from 'dns-packet';

const socket = createSocket('udp4');
socket.on('message', (message, from) => {
  const query: DecodedPacket = decode(message);
  const question = query.questions?.[0];
  const known = question?.name === 'printer.lan.test' && question.type === 'A';
  const answer = encode({
    type: 'response',
    ...(query.id === undefined ? {} : { id: query.id }),
    flags: known || question?.name === 'printer.lan.test' ? 0 : 3,
    ...(query.questions ? { questions: query.questions } : {}),
    answers: known ? [{ type: 'A', name: 'printer.lan.test', ttl: 60, data: '203.0.113.7' }] : [],
  });
  socket.send(answer, from.port, from.address);
});
socket.bind(53, process.argv[2], () => console.log('SERVING'));
