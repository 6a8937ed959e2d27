import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Claimed } from './contestants/claimer.ts'

const CLAIMER = join(import.meta.dirname, 'contestants', 'claimer.ts')

export interface ClaimersPlan {
  /** "sqlite:/path" or "postgres://…" */
  readonly storeUrl: string
  readonly work: 'claims' | 'payments'
  readonly processes: number
  /** Calls that each process has under way at a time. */
  readonly callers: number
  readonly milliseconds: number
}

export interface ClaimersResult {
  readonly perSecond: number
  /** Of the slowest process. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly failed: number
}

/** Lets so many processes work on one store at the same time. */
export async function runClaimers(plan: ClaimersPlan): Promise<ClaimersResult> {
  const { processes, milliseconds } = plan
  const claimers = await Promise.all(Array.from({ length: processes }, () => startClaimer(plan)))
  const all = await Promise.all(claimers.map(run => run()))
  const sum = (of: (one: Claimed) => number): number =>
    all.reduce((total, one) => total + of(one), 0)
  return {
    perSecond: (sum(({ done }) => done) / milliseconds) * 1000,
    p50Ms: Math.max(...all.map(({ p50Ms }) => p50Ms)),
    p99Ms: Math.max(...all.map(({ p99Ms }) => p99Ms)),
    failed: sum(({ failed }) => failed),
  }
}

/** Resolves with the way to let it go, once its store is open. */
async function startClaimer(plan: ClaimersPlan): Promise<() => Promise<Claimed>> {
  const { storeUrl, work, callers, milliseconds } = plan
  const child = spawn(
    process.execPath,
    [CLAIMER, storeUrl, work, String(callers), String(milliseconds)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const killNow = () => void child.kill('SIGKILL')
  process.on('exit', killNow)
  const ended = once(child, 'exit').finally(() => process.off('exit', killNow))
  const lines = createInterface({ input: child.stdout })
  const died = ended.then(() => {
    throw new Error('A claimer ended before it was done.')
  })
  died.catch(() => undefined)
  const line = async (): Promise<string> => {
    const [text] = await Promise.race([once(lines, 'line'), died])
    return text
  }
  await line()
  return async () => {
    const reported = line()
    child.stdin.write('go\n')
    const claimed: Claimed = JSON.parse(await reported)
    await ended
    return claimed
  }
}
