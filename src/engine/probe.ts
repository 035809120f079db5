import { explainProbe, type ProbeNames, type ProbeReport } from '../explain/probe-steps.ts';
import { type Kernel, KernelError } from '../kernel/kernel.ts';
import type { ProbeRequest } from '../model/probe.ts';

/**
 * Sends one real packet on the way that was asked for, and says what became of it. A probe takes 0.1 s where something
 * answers and up to `timeout` where nothing does; several wait for each other. Never rejects for what a host lacks: that
 * no packet could be sent is an answer too.
 */
export async function probe(kernel: Kernel, request: ProbeRequest, names: ProbeNames): Promise<ProbeReport> {
  try {
    return explainProbe(await kernel.probe(request), request, names);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const detail = `no packet could be sent: ${error.message}`;
    return { reachable: null, cause: null, steps: [{ kind: 'not-sent', detail }] };
  }
}
