import type { Change, MacvlanResource, Resource } from '../plan/resource.ts';
import { changeBridge, createBridge, deleteBridge } from './bridge.ts';
import type { HostPorts } from './host-port.ts';
import { changeInside } from './inner-interface.ts';
import { KernelError } from './kernel.ts';
import { deleteLink } from './link.ts';
import { createMacvlan, deleteMacvlan } from './macvlan.ts';
import { type NetnsSwitch, removeNetns } from './netns.ts';
import { isTableChange, type NftTable, type TableChange } from './nft-table.ts';
import type { RouteSocket } from './rtnetlink.ts';
import { createVeth, replaceVeth } from './veth.ts';
import { createVxlan, deleteFdb, deleteNeighbour, setFdb, setNeighbour } from './vxlan.ts';

export interface KernelParts {
  readonly routes: RouteSocket;
  readonly namespaces: NetnsSwitch;
  readonly table: NftTable;
  readonly ports: HostPorts;
  readonly log: (message: string) => void;
}

/** Carries out changes in order, those of the nft table together, where the last of them stands. */
export class Applier {
  readonly #parts: KernelParts;

  constructor(parts: KernelParts) {
    this.#parts = parts;
  }

  /** @throws KernelError after everything done before it is undone, newest first */
  apply(changes: readonly Change[]): void {
    const done: Step[] = [];
    for (const step of steps(changes)) {
      try {
        this.#run(step);
        done.push(step);
      } catch (error) {
        this.#undo(done);
        throw named(error, step);
      }
    }
  }

  /** Goes on after a failure. @returns what failed */
  tearDown(changes: readonly Change[]): readonly KernelError[] {
    const failures: KernelError[] = [];
    for (const step of steps(changes)) {
      try {
        this.#run(step);
      } catch (error) {
        // One bad element must not keep the others alive.
        const parts = Array.isArray(step) && step.length > 1 ? step.map((change) => [change]) : [];
        if (parts.length === 0) failures.push(named(error, step));
        for (const part of parts) {
          try {
            this.#run(part);
          } catch (single) {
            failures.push(named(single, part));
          }
        }
      }
    }
    return failures;
  }

  #undo(done: readonly Step[]): void {
    for (const step of done.toReversed()) {
      try {
        this.#run(isTableStep(step) ? step.map(inverse).toReversed() : inverse(step));
      } catch (error) {
        this.#parts.log(`undo failed: ${error instanceof Error ? error.message : error}`);
      }
    }
  }

  #run(step: Step): void {
    if (isTableStep(step)) {
      this.#parts.table.commit(step);
      return;
    }
    switch (step.op) {
      case 'create':
        this.#create(step.resource);
        break;
      case 'delete':
        this.#delete(step.resource);
        break;
      case 'replace':
        this.#replace(step.before, step.resource);
        break;
    }
  }

  #create(resource: Resource): void {
    const { routes, namespaces, ports } = this.#parts;
    switch (resource.kind) {
      case 'netns':
        namespaces.create(resource.path);
        break;
      case 'bridge':
        createBridge(routes, resource);
        break;
      case 'veth':
        createVeth(routes, namespaces, resource);
        break;
      case 'macvlan':
        createMacvlan(routes, namespaces, resource);
        break;
      case 'vxlan':
        createVxlan(routes, resource);
        break;
      case 'fdb':
        setFdb(routes, resource);
        break;
      case 'neighbour':
        setNeighbour(routes, resource);
        break;
      case 'host-port':
        ports.hold(resource);
        break;
    }
  }

  #delete(resource: Resource): void {
    const { routes, namespaces, ports } = this.#parts;
    switch (resource.kind) {
      case 'netns':
        removeNetns(resource.path);
        break;
      case 'bridge':
        deleteBridge(routes, resource);
        break;
      case 'veth':
        deleteLink(routes, resource.hostIfName);
        break;
      case 'macvlan':
        deleteMacvlan(namespaces, resource);
        break;
      case 'vxlan':
        deleteLink(routes, resource.ifName);
        break;
      case 'fdb':
        deleteFdb(routes, resource);
        break;
      case 'neighbour':
        deleteNeighbour(routes, resource);
        break;
      case 'host-port':
        ports.release(resource);
        break;
    }
  }

  #replace(before: Resource, resource: Resource): void {
    const { routes, namespaces } = this.#parts;
    if (before.kind === 'bridge' && resource.kind === 'bridge' && before.ifName === resource.ifName) {
      changeBridge(routes, resource);
    } else if (before.kind === 'veth' && resource.kind === 'veth') {
      replaceVeth(routes, namespaces, before, resource);
    } else if (before.kind === 'macvlan' && resource.kind === 'macvlan' && sameDevice(before, resource)) {
      changeInside(namespaces, resource, resource.mtu);
    } else {
      this.#delete(before);
      this.#create(resource);
    }
  }
}

/** Parent and mode stand when it is made. */
const sameDevice = (a: MacvlanResource, b: MacvlanResource): boolean =>
  a.netns === b.netns && a.ifName === b.ifName && a.parent === b.parent && a.mode === b.mode;

/** One change, or all those of the nft table as one transaction. */
type Step = Change | readonly TableChange[];

function isTableStep(step: Step): step is readonly TableChange[] {
  return Array.isArray(step);
}

function steps(changes: readonly Change[]): readonly Step[] {
  const table = changes.filter(isTableChange);
  const last = changes.findLastIndex(isTableChange);
  return changes.flatMap((change, index): readonly Step[] => {
    if (index === last) return [table];
    return isTableChange(change) ? [] : [change];
  });
}

function inverse<C extends Change>(change: C): C;
function inverse(change: Change): Change {
  switch (change.op) {
    case 'create':
      return { op: 'delete', resource: change.resource };
    case 'delete':
      return { op: 'create', resource: change.resource };
    case 'replace':
      return { op: 'replace', before: change.resource, resource: change.before };
  }
}

function named(error: unknown, step: Step): KernelError {
  const resource = isTableStep(step) ? step[0]?.resource : step.resource;
  if (error instanceof KernelError) {
    if (error.resource !== undefined) return error;
    return new KernelError(error.message, error.errno, resource, { cause: error });
  }
  const code = (error as NodeJS.ErrnoException).code ?? 'EIO';
  return new KernelError(error instanceof Error ? error.message : String(error), code, resource, {
    cause: error,
  });
}
