import { setTimeout as sleep } from 'node:timers/promises'
import { connectRaw, type RawClient } from '../support/raw-client.ts'
import { CALLERS, type Counter, NUISANCES } from './callers.ts'

type CallerName = keyof typeof CALLERS
type NuisanceName = keyof typeof NUISANCES

export interface LoadPlan {
  /** Connections of each kind of caller; each has one visit under way at a time. */
  readonly lanes: Partial<Readonly<Record<CallerName, number>>>
  /** One of each kind in turn, this often. 0: none. */
  readonly nuisancesPerSecond: number
  /** Visits of the free and the unpaid together, at most. */
  readonly cheapPerSecond: number
}

export interface LoadReport {
  readonly visits: number
  readonly byKind: Readonly<Record<string, number>>
  readonly perSecond: number
  /** What was not as it must be, the first few of them. */
  readonly failures: readonly string[]
  readonly failed: number
}

export interface RunningLoad {
  report(): LoadReport
  /** Lets the visits that are under way end. */
  stop(): Promise<LoadReport>
}

const FAILURES_KEPT_MAX = 20
const PACED: ReadonlySet<CallerName> = new Set(['free', 'unpaid', 'upload'])

/** Callers that come back over kept-alive connections until they are stopped. */
export function startLoad(counter: Counter, plan: LoadPlan): RunningLoad {
  const beganAt = performance.now()
  const byKind: Record<string, number> = {}
  const failures: string[] = []
  let failed = 0
  let stopped = false
  const pace = createPace(plan.cheapPerSecond)

  const note = (kind: string, error: unknown): void => {
    failed++
    if (failures.length < FAILURES_KEPT_MAX) failures.push(`${kind}: ${String(error)}`)
  }
  const count = (kind: string): void => {
    byKind[kind] = (byKind[kind] ?? 0) + 1
  }
  const visits = (): number => Object.values(byKind).reduce((sum, one) => sum + one, 0)

  const lane = async (kind: CallerName): Promise<void> => {
    let client: RawClient | null = null
    while (!stopped) {
      if (PACED.has(kind)) await pace()
      try {
        client ??= await connectRaw(counter.url)
        await CALLERS[kind](client, counter)
        count(kind)
      } catch (error) {
        note(kind, error)
        client?.destroy()
        client = null
      }
    }
    client?.destroy()
  }

  const annoy = async (): Promise<void> => {
    const kinds = Object.keys(NUISANCES) as NuisanceName[] // its own keys
    for (let turn = 0; !stopped; turn++) {
      const kind = kinds[turn % kinds.length] ?? 'leaves'
      await NUISANCES[kind](counter).then(
        () => count(kind),
        (error: unknown) => note(kind, error),
      )
      await sleep(1_000 / plan.nuisancesPerSecond)
    }
  }

  const running = [
    ...Object.entries(plan.lanes).flatMap(
      ([kind, lanes]) => Array.from({ length: lanes }, () => lane(kind as CallerName)), // its own keys
    ),
    ...(plan.nuisancesPerSecond > 0 ? [annoy()] : []),
  ]
  const report = (): LoadReport => {
    const perSecond = (visits() / (performance.now() - beganAt)) * 1_000
    return { visits: visits(), byKind: { ...byKind }, perSecond, failures: [...failures], failed }
  }
  return {
    report,
    async stop() {
      const last = report()
      stopped = true
      await Promise.all(running)
      return { ...report(), perSecond: last.perSecond }
    },
  }
}

/** Resolves so often a second at most, however many wait. */
function createPace(perSecond: number): () => Promise<void> {
  let next = performance.now()
  return async () => {
    const now = performance.now()
    next = Math.max(next, now - 100) + 1_000 / perSecond
    if (next > now) await sleep(next - now)
  }
}
