import type { FastifyInstance } from 'fastify';
import { containerFacts } from '../engine/container/container-facts.ts';
import type { Parts } from '../engine/parts.ts';
import { type Answer, answer } from '../explain/answer.ts';
import { parseQuestion } from '../explain/question.ts';
import { queryText } from './query.ts';

/** `GET /gangway/why?from=FROM&to=TO[:PORT[/PROTO]]`: who reaches whom, by which way, and what would change it. */
export function whyRoutes(app: FastifyInstance, { containers, networking }: Parts): void {
  app.get('/gangway/why', async (request): Promise<Answer> => {
    const asked = parseQuestion(queryText(request.query, 'from') ?? '', queryText(request.query, 'to') ?? '');
    const situation = await networking.situations.read(asked, containerFacts(containers, networking));
    return answer(situation);
  });
}
