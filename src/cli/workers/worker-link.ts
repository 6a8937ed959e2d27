import type { ChildProcess } from 'node:child_process'
import cluster, { type Worker } from 'node:cluster'
import { fileURLToPath } from 'node:url'
import type { Counted, Counting, QuestionName, Questions, Told } from './messages.ts'
import { WorkerFailure, WorkerLostError } from './worker-errors.ts'

export interface WorkerEnd {
  /** Null when a signal ended it. */
  readonly exitCode: number | null
  readonly signal: string | null
}

/** The primary's end of the line to one worker process. */
export interface WorkerLink {
  /** Rejects with what went wrong there, or with `WorkerLostError`. */
  ask<Name extends QuestionName>(
    name: Name,
    asked: Questions[Name]['asked'],
    timeoutMs: number,
  ): Promise<Questions[Name]['answer']>
  /** Resolves when the process is gone and all that it said has been heard. */
  readonly ended: Promise<WorkerEnd>
  /** SIGKILL. What it was working on is found in the ledger by whoever comes after it. */
  kill(): void
}

export type ForkWorker = (worker: number) => WorkerLink

/** What the primary does for its workers. */
export interface Services {
  /** Writes whole lines of their logs. */
  relay(lines: string): void
  count(counting: Counting): Counted
}

/** How worker processes are started. */
export function workerForks(services: Services): ForkWorker {
  /*
   * The workers take connections from one socket themselves. Of the ways that Node.js has, this one
   * loses no connection when a worker dies (the primary holds the socket, and passes nothing on),
   * and took the most new connections a second: see docs/scaling.md.
   */
  cluster.schedulingPolicy = cluster.SCHED_NONE
  cluster.setupPrimary({
    exec: entryFile(),
    args: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // Amounts are bigints, which JSON cannot say.
    serialization: 'advanced',
  })
  return worker => new ClusterLink(cluster.fork(), { worker, services })
}

/** Type stripping runs the sources as they are; a build has only the compiled file. */
function entryFile(): string {
  const name = import.meta.url.endsWith('.ts') ? './worker-process.ts' : './worker-process.js'
  return fileURLToPath(new URL(name, import.meta.url))
}

function endOf(process: ChildProcess): Promise<WorkerEnd> {
  return new Promise(resolve => {
    process.once('close', (exitCode, signal) => resolve({ exitCode, signal }))
    process.once('error', () => {
      // It could not even be started, so that nothing will be closed.
      if (process.pid === undefined) resolve({ exitCode: null, signal: null })
    })
  })
}

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

class ClusterLink implements WorkerLink {
  readonly ended: Promise<WorkerEnd>
  readonly #worker: Worker
  readonly #number: number
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0

  constructor(worker: Worker, options: { readonly worker: number; readonly services: Services }) {
    this.#worker = worker
    this.#number = options.worker
    this.ended = endOf(worker.process)
    void this.ended.then(() => this.#loseAll('has ended'))
    // A worker that cannot be written to any more is about to end, which is what is told.
    worker.on('error', () => undefined)
    worker.on('message', (told: Told) => this.#hear(told, options.services))
  }

  async ask<Name extends QuestionName>(
    name: Name,
    asked: Questions[Name]['asked'],
    timeoutMs: number,
  ): Promise<Questions[Name]['answer']> {
    this.#asked += 1
    const id = this.#asked
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const timer = setTimeout(() => reject(this.#lost('did not answer in time')), timeoutMs)
    this.#waiting.set(id, { resolve, reject })
    if (this.#worker.isConnected()) this.#worker.send({ id, name, asked })
    else reject(this.#lost('has ended'))
    try {
      return (await promise) as Questions[Name]['answer'] // each question has its kind of answer
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
  }

  kill(): void {
    this.#worker.process.kill('SIGKILL')
  }

  #hear(told: Told, services: Services): void {
    if (told.kind === 'log') services.relay(told.lines)
    else if (told.kind === 'count') {
      if (this.#worker.isConnected()) this.#worker.send(services.count(told))
    } else if (told.kind === 'answered') this.#waiting.get(told.id)?.resolve(told.answer)
    else this.#waiting.get(told.id)?.reject(new WorkerFailure(told.failure))
  }

  #loseAll(what: string): void {
    for (const { reject } of this.#waiting.values()) reject(this.#lost(what))
  }

  #lost(what: string): WorkerLostError {
    return new WorkerLostError(this.#number, what)
  }
}
