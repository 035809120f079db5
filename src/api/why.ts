import type { FastifyInstance } from 'fastify';
import { containerFacts } from '../engine/container/container-facts.ts';
import type { Parts } from '../engine/parts.ts';
import { probe } from '../engine/probe.ts';
import { type Answer, answer, withProbe } from '../explain/answer.ts';
import { planProbe } from '../explain/probe-request.ts';
import { parseQuestion } from '../explain/question.ts';
import { decide } from '../explain/verdict.ts';
import { queryFlag, queryText } from './query.ts';

/** `GET /gangway/why?from=FROM&to=TO[:PORT[/PROTO]]`: who reaches whom, by which way, and what would change it. */
export function whyRoutes(app: FastifyInstance, { containers, networking, kernel }: Parts): void {
  app.get('/gangway/why', async (request): Promise<Answer> => {
    const asked = parseQuestion(queryText(request.query, 'from') ?? '', queryText(request.query, 'to') ?? '');
    const situation = await networking.situations.read(asked, containerFacts(containers, networking));
    const verdict = decide(situation);
    const answered = answer(situation, verdict);
    if (queryText(request.query, 'probe') !== undefined && !queryFlag(request.query, 'probe'))
      return answered;
    const planned = planProbe(situation, verdict, (id) => networking.sandboxPath(id));
    if (planned === undefined) return answered;
    return withProbe(answered, await probe(kernel, planned.request, planned.names), planned.byOtherWire);
  });
}
