import type { FastifyInstance } from 'fastify';
import type { Doctor } from '../engine/doctor/doctor.ts';

/** What would break containers on this host, as a `DoctorReport`. */
export function doctorRoutes(app: FastifyInstance, doctor: Doctor): void {
  app.get('/gangway/doctor', () => doctor.examine());
}
