import type { Mount } from './images.ts';

/** FIFO paths handed to the shim; absent members are not connected. */
export interface StdioPaths {
  readonly stdin?: string;
  readonly stdout?: string;
  /** Never set with a terminal: a pty has one output. */
  readonly stderr?: string;
  readonly terminal: boolean;
}

export interface TaskRequest {
  /** The container's id, 64 hex digits; also the id in containerd. */
  readonly id: string;
  /** An OCI runtime spec (opencontainers/runtime-spec config.md), made by `buildSpec`. */
  readonly spec: Readonly<Record<string, unknown>>;
  readonly rootfs: readonly Mount[];
  readonly stdio: StdioPaths;
}

export interface TaskExit {
  readonly id: string;
  /** Empty for the container's first process. */
  readonly execId: string;
  readonly pid: number;
  /** 0 to 255; 128+N when ended by signal N. */
  readonly exitStatus: number;
  /** RFC 3339 with nanoseconds. */
  readonly exitedAt: string;
}

export type TaskState = 'created' | 'running' | 'paused' | 'stopped';

export interface TaskInfo {
  readonly id: string;
  readonly pid: number;
  readonly state: TaskState;
  readonly exitStatus: number;
  readonly exitedAt: string;
}

/**
 * Processes of containers, by containerd and runc's shim. A task outlives the daemon.
 * Methods reject with EngineError NOT_FOUND when the task or process is gone, and SYSTEM with runc's words otherwise.
 */
export interface Tasks {
  /** Container record and task: the process exists, stopped before its first instruction. Nothing stays on failure. */
  create(request: TaskRequest): Promise<{ readonly pid: number }>;
  start(id: string): Promise<{ readonly pid: number }>;
  kill(
    id: string,
    signal: number,
    options?: { readonly execId?: string; readonly all?: boolean },
  ): Promise<void>;
  /** Removes the ended task and its containerd record. Not an error when they are gone already. */
  delete(id: string): Promise<void>;
  addExec(
    id: string,
    execId: string,
    process: Readonly<Record<string, unknown>>,
    stdio: StdioPaths,
  ): Promise<void>;
  startExec(id: string, execId: string): Promise<{ readonly pid: number }>;
  deleteExec(id: string, execId: string): Promise<void>;
  resize(id: string, execId: string, columns: number, rows: number): Promise<void>;
  closeStdin(id: string, execId: string): Promise<void>;
  pids(id: string): Promise<readonly number[]>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  /** `resources` as in the OCI spec's `linux.resources`. */
  update(id: string, resources: Readonly<Record<string, unknown>>): Promise<void>;
  /** Undefined when containerd has no such task. */
  info(id: string): Promise<TaskInfo | undefined>;
  /** Every task of ours: what a restarted daemon finds again. */
  list(): Promise<readonly TaskInfo[]>;
  /** Subscriptions survive a reconnect to containerd; exits that happened in between are reported by `list`. */
  onExit(listener: (exit: TaskExit) => void): void;
  onOom(listener: (id: string) => void): void;
}
