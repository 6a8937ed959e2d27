import type { GatewayConfig, ListenAddress } from '../../config/gateway-config.ts'
import { attemptMsMax } from '../../flow/recovery.ts'
import type { GatewayObserver } from '../../observe/events.ts'
import type { QuestionName, Questions } from './messages.ts'
import { CrashLoopError } from './worker-errors.ts'
import type { ForkWorker, WorkerLink } from './worker-link.ts'

export interface CrewOptions {
  readonly fork: ForkWorker
  readonly size: number
  /** With a port: those who come later must listen where the first ones did. */
  readonly listen: ListenAddress
  readonly observer: Pick<GatewayObserver, 'workerEnded' | 'errorReported'>
  /** Told when a worker is gone for good. */
  readonly onEnded: (link: WorkerLink) => void
}

/** The workers of one gateway: started together, replaced one by one, stopped together. */
export interface Crew {
  /** Where all of them listen. */
  readonly url: string
  /** The workers by their numbers; null while one is being replaced. */
  readonly members: ReadonlyMap<number, WorkerLink | null>
  /** Resolves when it has given up, because every worker ends whenever it has started. */
  readonly failed: Promise<Error>
  readonly config: GatewayConfig
  /** Every worker takes it. One that cannot is replaced by one that begins with it. */
  apply(config: GatewayConfig): Promise<void>
  /** Asks all of them; null where there was no answer. */
  askAll<Name extends QuestionName>(
    name: Name,
    asked: Questions[Name]['asked'],
  ): Promise<ReadonlyMap<WorkerLink, Questions[Name]['answer'] | null>>
  /** Lets all of them finish what they do. */
  stop(): Promise<void>
}

/** With a store that is not there, a start takes two seconds; the rest is for a busy machine. */
const START_MS_MAX = 60_000
const APPLY_MS_MAX = 30_000
/** Below the time-outs of common scrapers and probes. */
const ASK_MS_MAX = 3_000
/** On top of what a worker may take to finish, before it is taken to hang. */
const STOP_MARGIN_MS = 10_000
/** Whoever lived so long did not end because of its start. */
const STEADY_MS = 60_000
/** Of every worker, before it is given up. */
const EARLY_ENDS_MAX = 6
const BACKOFF_MIN_MS = 250
const BACKOFF_MAX_MS = 8_000

/**
 * Starts every worker, and resolves when all of them listen.
 *
 * Rejects with what the first one failed with; nothing runs then.
 */
export async function startCrew(config: GatewayConfig, options: CrewOptions): Promise<Crew> {
  const crew = new WorkerCrew(config, options)
  await crew.start()
  return crew
}

class WorkerCrew implements Crew {
  url = ''
  config: GatewayConfig
  readonly members = new Map<number, WorkerLink | null>()
  readonly #options: CrewOptions
  readonly #gaveUp = Promise.withResolvers<Error>()
  readonly #stop = new AbortController()
  readonly #posts: Promise<void>[] = []
  /** How often the worker of each post has ended soon after its start, without a break. */
  readonly #earlyEnds = new Map<number, number>()

  constructor(config: GatewayConfig, options: CrewOptions) {
    this.config = config
    this.#options = options
  }

  get failed(): Promise<Error> {
    return this.#gaveUp.promise
  }

  async start(): Promise<void> {
    const numbers = Array.from({ length: this.#options.size }, (_, index) => index + 1)
    const firsts = numbers.map(number => this.#launch(number))
    try {
      const [started] = await Promise.all(firsts.map(({ started }) => started))
      this.url = started?.url ?? ''
    } catch (error) {
      this.#stop.abort()
      for (const { link } of firsts) link.kill()
      await Promise.all(firsts.map(({ link }) => link.ended))
      throw error
    }
    for (const [index, { link }] of firsts.entries()) this.#posts.push(this.#man(index + 1, link))
  }

  async apply(config: GatewayConfig): Promise<void> {
    this.config = config
    await Promise.all(
      this.#links().map(link =>
        link.ask('apply', config, APPLY_MS_MAX).catch((error: unknown) => {
          this.#report(error)
          link.kill()
        }),
      ),
    )
  }

  async askAll<Name extends QuestionName>(
    name: Name,
    asked: Questions[Name]['asked'],
  ): Promise<ReadonlyMap<WorkerLink, Questions[Name]['answer'] | null>> {
    const answers = this.#links().map(async link => {
      const answer = await link.ask(name, asked, ASK_MS_MAX).catch(() => null)
      return [link, answer] as const
    })
    return new Map(await Promise.all(answers))
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    const { drainTimeoutMs } = this.config.server
    const timeoutMs = drainTimeoutMs + attemptMsMax(this.config) + STOP_MARGIN_MS
    for (const link of this.#links()) {
      link.ask('stop', null, timeoutMs).catch(() => link.kill())
    }
    await Promise.all(this.#posts)
  }

  /** Keeps one post filled until the crew stops. Never rejects. */
  async #man(worker: number, first: WorkerLink): Promise<void> {
    let link = first
    for (;;) {
      const beganAt = performance.now()
      const { exitCode, signal } = await link.ended
      this.members.set(worker, null)
      this.#options.onEnded(link)
      if (this.#stop.signal.aborted) return
      const steady = performance.now() - beganAt >= STEADY_MS
      const earlyEnds = steady ? 1 : (this.#earlyEnds.get(worker) ?? 0) + 1
      this.#earlyEnds.set(worker, earlyEnds)
      if (this.#isHopeless()) return this.#gaveUp.resolve(new CrashLoopError(EARLY_ENDS_MAX))
      const replacedInMs = backoffMs(earlyEnds)
      this.#options.observer.workerEnded({ worker, exitCode, signal, replacedInMs })
      await this.#pause(replacedInMs)
      if (this.#stop.signal.aborted) return
      link = this.#relaunch(worker)
    }
  }

  /** While one worker lives, its callers are served, and the others are tried again. */
  #isHopeless(): boolean {
    const ends = [...this.#earlyEnds.values()]
    return ends.length === this.#options.size && ends.every(count => count >= EARLY_ENDS_MAX)
  }

  /** Ends early when the crew stops. */
  #pause(milliseconds: number): Promise<void> {
    const { signal } = this.#stop
    return new Promise(resolve => {
      const finish = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', finish)
        resolve()
      }
      const timer = setTimeout(finish, milliseconds)
      signal.addEventListener('abort', finish)
    })
  }

  #relaunch(worker: number): WorkerLink {
    const { link, started } = this.#launch(worker)
    started.catch((error: unknown) => {
      if (!this.#stop.signal.aborted) this.#report(error)
      link.kill()
    })
    return link
  }

  #launch(worker: number) {
    const link = this.#options.fork(worker)
    this.members.set(worker, link)
    const server = { ...this.config.server, listen: this.#options.listen }
    const config = { ...this.config, server }
    const started = link.ask('start', { worker, config }, START_MS_MAX)
    return { link, started }
  }

  #links(): readonly WorkerLink[] {
    return [...this.members.values()].filter(link => link !== null)
  }

  #report(error: unknown): void {
    this.#options.observer.errorReported({ error, requestId: null })
  }
}

/** At once for the first time, then ever later. */
function backoffMs(earlyEnds: number): number {
  return earlyEnds === 1 ? 0 : Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** (earlyEnds - 2))
}
